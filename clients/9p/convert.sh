#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# convert.sh TREE DIR [stock]: copies net/9p and fs/9p of the kernel tree TREE to DIR and
# converts them to midatlas. See README.md. With "stock" nothing is converted.
#
# DIR is created only if every rule of the semantic patches has matched and nothing of
# the old tags is left. Otherwise the patches are not for this version.
#
# convert.sh TREE DIR PATCH...: applies only these patches

. "$(dirname "$0")/../../scripts/lib.sh"
here=$top/clients/9p
. "$top/clients/lib.sh"

tree=$(realpath "$1") dir=$2
old='clnt->reqs|c->reqs|p9_tag_remove|p9_tag_cleanup|p9_fd_cancelled|p9_virtio_cancelled|m->req_list'

[ -e "$tree/net/9p/client.c" ] || refuse "no net/9p"
need_spatch
workdir convert
rm -rf "$dir" "$dir.partial"
mkdir -p "$dir.partial"/{net,fs,include/net}
cp -r "$tree/net/9p" "$dir.partial/net/"
cp -r "$tree/fs/9p" "$dir.partial/fs/"
cp -r "$tree/include/net/9p" "$dir.partial/include/net/"
cat >"$dir.partial/Kbuild" <<'END'
NOSTDINC_FLAGS := -nostdinc -I$(KBUILD_EXTMOD)/include
obj-m += net/9p/ fs/9p/
END

# files_of PATCH
files_of() {
	case $1 in
	state) echo net/9p/client.c include/net/9p/client.h ;;
	option) echo net/9p/client.c fs/9p/v9fs.c include/net/9p/client.h ;;
	trans_others) echo net/9p/trans_{xen,rdma,usbg}.c ;;
	style.sed) echo include/net/9p/client.h net/9p/{client,trans_fd,trans_virtio,trans_rdma}.c ;;
	*) echo "net/9p/$1.c" ;;
	esac
}

case ${3:-} in
'') patches=(state option client trans_fd trans_virtio trans_others style.sed) ;;
stock) patches=() ;;
*) patches=("${@:3}") ;;
esac
for patch in "${patches[@]}"; do
	read -ra files < <(files_of "$patch")
	(cd "$dir.partial" && apply "$patch" "${files[@]}")
done
if [ -z "${3:-}" ]; then
	! grep -rnE "\<($old)\>" "$dir.partial" >&2 || refuse "the old tags are still there"
	cp "$here/inflight.c" "$dir.partial/net/9p/"
	cp "$here/inflight.h" "$dir.partial/include/net/9p/"
	cp "$top/midatlas.h" "$dir.partial/include/"
	printf '\n9pnet-objs += inflight.o\n' >>"$dir.partial/net/9p/Makefile"
fi
mv "$dir.partial" "$dir"

# SPDX-License-Identifier: GPL-2.0
#
# kernel-doc of the new members, and what spatch leaves that is not in the kernel's style. Each
# line must change something.
s,^ \* @req_list: link for higher level.*,&\n * @flushes: of a Tflush: the request that it ends\n * @fid: the fid that a request keeps while no task waits for it\n * @flags: whether the request has ended\, and whether its task has let go of it\n * @in_ring: whether the device has the buffers (virtio)\n * @kept_pages: what the device uses and a killed task has left (virtio)\n * @nr_kept: how many pages\n * @kept_rdir: the same\, the buffer of a directory\n * @fid_nr: the first fid of the request\, for debugfs\n * @pid: the task that sent the request\, for debugfs,
s,^ \* @lock: protect @fids and @reqs$, * @lock: protect @fids\, @unclunked and @unflushed,
s,^ \* @reqs: All active requests\.$, * @tags: all active requests\n * @version: the Tversion in flight\n * @max_tags: the mount option\, or 0\n * @strays: replies that belong to no request in flight\n * @unclunked: fids that @tidy_work has to clunk\n * @unflushed: requests that @tidy_work has to flush\n * @tidy_work: sends what a killed task did not\n * @starved: whether @tidy_work waits for a tag,
s,^ \* @rdir: readdir accounting structure.*,&\n * @gone: whether the server does not have the fid\, yet or any more,
s,^ \* @req_list: accounting for requests which have been sent$, * @skip: how many bytes of a stray reply are left\n * @skipped: where they are read to,
s,^ \* @req_lock: lock protecting req_list and, * @req_lock: lock protecting unsent_req_list and,
s,^ \* @vq: virtio queue associated.*,&\n * @in_ring: requests in @vq\, under @lock,
/^\t\t}$/{N;s/}\n\t\telse {/} else {/}
/^struct p9_req_t \*p9_client_prepare_req(/,/)$/s/^\t\{5\}      /\t\t\t\t       /
/^struct p9_req_t \*p9_client_prepare_req(/,/)$/s/int8_t/s8/
s,;\(/\* [a-z][^*]* \*/\)$,; \1,

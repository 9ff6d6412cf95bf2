// SPDX-License-Identifier: GPL-2.0
//
// The members of a connection, of a request and of a fid. An atlas replaces the IDR of tags.

@glue@
@@
 #include <linux/tracepoint-defs.h>
+#include <linux/workqueue.h>
+#include <net/9p/inflight.h>

@request_fields@
@@
 struct p9_req_t {
 ...
 struct list_head req_list;
+struct p9_req_t *flushes;
+struct p9_fid *fid;
+atomic_t flags;
+bool in_ring;
+struct page **kept_pages;
+unsigned int nr_kept;
+void *kept_rdir;
+u32 fid_nr;
+pid_t pid;
 };

@client_fields@
@@
 struct p9_client {
 ...
-struct idr reqs;
+struct mid_atlas *tags;
+struct p9_req_t *version;
+unsigned int max_tags;
+atomic_long_t strays;
+struct hlist_head unclunked;
+struct list_head unflushed;
+struct work_struct tidy_work;
+bool starved;
 ...
 };

@fid_fields@
@@
 struct p9_fid {
 ...
 void *rdir;
+bool gone;
 ...
 };

@lookup_declared@
identifier c, tag;
typedef u16, u8;
@@
 struct p9_req_t *p9_tag_lookup(struct p9_client *c, u16 tag
+	, u8 type
	);

@create@
expression clnt, fc;
@@
-idr_init(&clnt->reqs);
 err = apply_client_options(clnt, fc);
+if (!err)
+	err = p9_tags_create(clnt);

@create_fails@
expression clnt;
@@
 free_client:
+p9_tags_destroy(clnt);
 kfree(clnt);

@create_empty@
struct p9_client *clnt;
@@
 clnt->fcall_cache = NULL;
+clnt->tags = NULL;

@destroy@
identifier clnt;
statement S;
@@
 p9_client_destroy(struct p9_client *clnt)
 {
 ...
 if (clnt->trans_mod) S
+p9_tags_destroy(clnt);
 ...
-p9_tag_cleanup(clnt);
 ...
 }

@cleanup@
@@
-p9_tag_cleanup(...) { ... }

// A lookup may put the last reference inside rcu_read_lock().
@free_any_context@
expression fc;
@@
-kvfree(fc->sdata);
+kvfree_atomic(fc->sdata);

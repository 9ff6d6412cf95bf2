// SPDX-License-Identifier: GPL-2.0
//
// The mount option max_tags: the most requests in flight, as a server wants it

@opt_field@
@@
 struct p9_client_opts {
 unsigned int msize;
+unsigned int max_tags;
 ...
 };

@opt_enum@
@@
 enum {
 ...,
 Opt_msize,
+Opt_max_tags,
 ...
 };

@opt_spec@
@@
 struct fs_parameter_spec v9fs_param_spec[] = {
 ...,
 fsparam_u32("msize", Opt_msize),
+fsparam_u32("max_tags", Opt_max_tags),
 ...
 };

@opt_parse@
identifier opt, clnt, result;
@@
 v9fs_parse_param(...)
 {
 ...
 struct p9_client_opts *clnt = ...;
 ...
 opt = fs_parse(..., &result);
 if (opt < 0) { ... }
+if (opt == Opt_max_tags) {
+	if (result.uint_32 < P9_MIN_TAGS || result.uint_32 > P9_NOTAG)
+		return -EINVAL;
+	clnt->max_tags = result.uint_32;
+	return 0;
+}
 ...
 }

@opt_apply@
identifier clnt, ctx;
@@
 clnt->msize = ctx->client_opts.msize;
+clnt->max_tags = ctx->client_opts.max_tags;

@opt_show@
identifier m, clnt;
@@
 p9_show_client_options(struct seq_file *m, struct p9_client *clnt)
 {
+if (clnt->max_tags)
+	seq_printf(m, ",max_tags=%u", clnt->max_tags);
 ...
 }

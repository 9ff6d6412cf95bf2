// SPDX-License-Identifier: GPL-2.0
/*
 * mid_display - atlases and windows whose folders in debugfs a test reads
 *
 * While the module is loaded there are @count atlases and @count windows, all of the name
 * @name.  Each has two requests in flight, which the client describes by @words characters.
 * If @starve is "credits", each window has used its credits; if it is "hole", an id was
 * reserved and not sent, and then the credits were used.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/err.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/string_helpers.h>

#include "../../midatlas.h"
#include "../../midwindow.h"

static char *name = "display";
module_param(name, charp, 0444);
MODULE_PARM_DESC(name, "of all of them; \\xNN and the like are unescaped");

static unsigned int count = 1;
module_param(count, uint, 0444);
MODULE_PARM_DESC(count, "how many atlases and windows");

static unsigned int words;
module_param(words, uint, 0444);
MODULE_PARM_DESC(words, "characters that the client shows of a request, 0: it does not");

static char *starve = "";
module_param(starve, charp, 0444);
MODULE_PARM_DESC(starve, "credits or hole");

static struct mid_atlas **atlases;
static struct mid_window **windows;
static char requests[2];

static void describe(struct seq_file *m, void *ctx)
{
	unsigned int i;

	seq_printf(m, "request %td\n\t\x1b[2J", (char *)ctx - requests);
	for (i = 0; i < words; i++)
		seq_putc(m, 'w');
}

static int fill_atlas(struct mid_atlas *atlas)
{
	u16 mid;

	if (words)
		mid_atlas_show_with(atlas, describe);
	return mid_atlas_associate(atlas, &requests[0], &mid, GFP_KERNEL) ?:
	       mid_atlas_associate(atlas, &requests[1], &mid, GFP_KERNEL);
}

static int fill_window(struct mid_window *w)
{
	struct mid_span span;
	struct mid_tag tag;
	int err;

	if (words)
		mid_window_show_with(w, describe);
	mid_window_grant(w, 1, 9);
	err = mid_window_begin(w, 1, &requests[0], &tag, GFP_KERNEL);
	if (!err && !strcmp(starve, "hole"))
		err = mid_window_reserve(w, 1, 1, &span, 0, 0);
	if (!err)
		err = mid_window_begin(w, *starve ? 8 : 1, &requests[1], &tag, GFP_KERNEL);
	if (!err && !strcmp(starve, "credits"))
		err = mid_window_begin(w, 1, &requests[1], &tag, GFP_KERNEL);
	/* Three more fail: one event. */
	if (!err && *starve &&
	    (mid_window_begin(w, 1, &requests[1], &tag, GFP_KERNEL) != -EAGAIN ||
	     mid_window_begin(w, 1, &requests[1], &tag, GFP_KERNEL) != -EAGAIN ||
	     mid_window_begin(w, 1, &requests[1], &tag, GFP_KERNEL) != -EAGAIN))
		err = -EINVAL;
	return err;
}

static void destroy_all(void)
{
	unsigned int i;

	for (i = 0; i < count; i++) {
		mid_atlas_destroy(atlases[i], NULL, NULL);
		mid_window_destroy(windows[i], NULL, NULL);
	}
	kfree(atlases);
	kfree(windows);
}

static int create_one(unsigned int i)
{
	struct mid_atlas *atlas = mid_atlas_create(name, 50, 0, GFP_KERNEL);
	struct mid_window *w = mid_window_create(name, 0, GFP_KERNEL);

	atlases[i] = IS_ERR(atlas) ? NULL : atlas;
	windows[i] = IS_ERR(w) ? NULL : w;
	return PTR_ERR_OR_ZERO(atlas) ?: PTR_ERR_OR_ZERO(w) ?: fill_atlas(atlas) ?: fill_window(w);
}

static int __init display_init(void)
{
	unsigned int i;
	int err = 0;

	string_unescape_any_inplace(name);
	atlases = kcalloc(count, sizeof(*atlases), GFP_KERNEL);
	windows = kcalloc(count, sizeof(*windows), GFP_KERNEL);
	if (!atlases || !windows) {
		kfree(atlases);
		kfree(windows);
		return -ENOMEM;
	}
	for (i = 0; i < count && !err; i++)
		err = create_one(i);
	if (err)
		destroy_all();
	return err;
}
module_init(display_init);

static void __exit display_exit(void)
{
	destroy_all();
}
module_exit(display_exit);

MODULE_DESCRIPTION("Atlases and windows to be read in debugfs");
MODULE_LICENSE("GPL");

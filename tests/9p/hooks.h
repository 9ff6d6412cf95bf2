/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For tests: stops or fails net/9p at moments that are too short to hit by chance. Each
 * hook is a parameter of the module, and does nothing while that is 0. hooks.sh calls them.
 */
#include <linux/delay.h>
#include <linux/moduleparam.h>

static unsigned int statfs_pause;
module_param(statfs_pause, uint, 0644);
MODULE_PARM_DESC(statfs_pause, "ms between the tag of a Tstatfs and the next line");

static unsigned int fail_flush;
module_param(fail_flush, uint, 0644);
MODULE_PARM_DESC(fail_flush, "the number of Tflush for which there is no memory");

static void p9_hook_has_tag(int type)
{
	if (type == P9_TSTATFS && statfs_pause)
		msleep(statfs_pause);
}

static bool p9_hook_fails(int type)
{
	if (type != P9_TFLUSH || !fail_flush)
		return false;
	fail_flush--;
	return true;
}

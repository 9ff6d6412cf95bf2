//@ top
/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The requests in flight of one cifs connection
 *
 * A request that was sent is on a queue until it is claimed.
 *
 *	claim		exactly one of reply, failed send and reset gets the request
 *
 * Only the path that claimed a mid may change its state, run its callback or write
 * to its buffers.
 */
#ifndef _CIFS_INFLIGHT_H
#define _CIFS_INFLIGHT_H

#include <linux/types.h>

struct TCP_Server_Info;
struct list_head;
struct mid_q_entry;
struct seq_file;


/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Between client.c, which has the socket, and smb1.c or smb2.c, the server that it speaks to
 */
#ifndef _FUZZ_SERVER_H
#define _FUZZ_SERVER_H

#include "smbecho.h"

#define SENT		16	/* messages that the server remembers */
#define MESSAGE_MAX	512
#define HEAD		sizeof(__be32)

/* The last complete messages that the client sent */
struct message { u8 data[MESSAGE_MAX]; size_t size; unsigned int replies, right; };
extern struct message sent[SENT];
extern unsigned int nr_sent;

extern unsigned int good;	/* correct replies that were sent */

static inline s64 result(enum result what) { return results[what].counter; }

/* What the client receives next */
bool room_for(size_t size);
void stream_put(const void *data, size_t size);
void stream_head(u32 head);

/* Those of a protocol: */
extern const struct protocol *const server_protocol;
struct options server_options(u8 how);
void server_connected(void);			/* a new connection */
void server_got(struct message *message);	/* the last one in @sent */
void say_reply(void);
void say_unasked(void);
void server_check(void);			/* at the end of the input */

#endif /* _FUZZ_SERVER_H */

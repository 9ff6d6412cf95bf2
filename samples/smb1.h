/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The part of SMB1 that the sample client uses (MS-CIFS 2.2)
 *
 * On TCP a header of four bytes precedes each message: 8 bits of type and 24 bits
 * of length, big-endian.  The message itself is little-endian.
 */
#ifndef _SMB1_H
#define _SMB1_H

#include <linux/sizes.h>
#include <linux/types.h>

#define NBSS_LENGTH		0x00ffffff
#define NBSS_KEEPALIVE		0x85000000	/* an empty frame; a message has type 0 */

#define SMB_FRAME_MAX		SZ_64K

#define SMB_MAGIC		cpu_to_be32(0xff534d42)	/* "\xffSMB" */
#define SMB_COM_ECHO		0x2b
#define SMB_COM_NEGOTIATE	0x72
#define SMB_FLAGS_REPLY		0x80
#define SMB_FLAGS2_NT_STATUS	cpu_to_le16(0x4000)
#define SMB_TID_NONE		cpu_to_le16(0xffff)
#define SMB_MID_UNSOLICITED	0xffff		/* sent by the server without a request */

struct smb_header {
	__be32 magic;
	u8 command;
	__le32 status;
	u8 flags;
	__le16 flags2;
	__le16 pid_high;
	u8 signature[8];
	__le16 reserved;
	__le16 tid;
	__le16 pid_low;
	__le16 uid;
	__le16 mid;
	u8 word_count;
} __packed;

/* The shortest possible message: no words, no bytes */
#define SMB_MESSAGE_MIN		(sizeof(struct smb_header) + sizeof(__le16))

#define SMB_DIALECT		"\2NT LM 0.12"	/* 2: a dialect's name follows */

struct smb_negotiate_request {
	struct smb_header header;
	__le16 byte_count;
	char dialect[sizeof(SMB_DIALECT)];
} __packed;

/* The reply begins alike with and without extended security. */
#define SMB_NEGOTIATE_WORDS	17

struct smb_negotiate_reply {
	struct smb_header header;
	__le16 dialect;
	u8 security_mode;
	__le16 max_mpx;
	/* this client ignores the rest */
} __packed;

#define SMB_ECHO_WORDS		1

/* The request and each of its replies */
struct smb_echo {
	struct smb_header header;
	__le16 count;		/* request: number of replies; reply: its index, from 1 */
	__le16 byte_count;
	u8 data[];
} __packed;

#endif /* _SMB1_H */

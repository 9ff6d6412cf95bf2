/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The part of SMB2 and 3 that the sample client uses (MS-SMB2 2.2)
 *
 * The header of four bytes is that of smb1.h.  A frame has one message or several: a
 * compound, in which each header says how far away the next one is.
 */
#ifndef _SMB2_H
#define _SMB2_H

#include <linux/build_bug.h>
#include <linux/types.h>

#define SMB2_MAGIC		cpu_to_be32(0xfe534d42)	/* "\xfeSMB" */

#define SMB2_NEGOTIATE		0x00
#define SMB2_CANCEL		0x0c
#define SMB2_ECHO		0x0d

#define SMB2_FLAGS_REPLY	0x00000001	/* SERVER_TO_REDIR */
#define SMB2_FLAGS_ASYNC	0x00000002

#define SMB2_STATUS_PENDING	0x00000103	/* an interim response: the reply comes later */

struct smb2_header {
	__be32 magic;
	__le16 structure_size;
	__le16 credit_charge;
	__le32 status;
	__le16 command;
	__le16 credits;		/* CreditRequest, CreditResponse */
	__le32 flags;
	__le32 next_command;	/* offset of the next header of a compound, or 0 */
	__le64 message_id;
	union {
		struct {
			__le32 reserved;
			__le32 tree_id;
		} __packed;
		__le64 async_id;	/* with SMB2_FLAGS_ASYNC */
	} __packed;
	__le64 session_id;
	u8 signature[16];
} __packed;

#define SMB2_HEADER_SIZE	64
static_assert(sizeof(struct smb2_header) == SMB2_HEADER_SIZE);

#define SMB2_ALIGNMENT		8	/* of the headers of a compound */

#define SMB2_DIALECT_210	0x0210
#define SMB2_DIALECT_300	0x0300
#define SMB2_DIALECT_302	0x0302

#define SMB2_SIGNING_ENABLED	0x0001
#define SMB2_CAP_LARGE_MTU	0x00000004	/* requests of more than one credit */

#define SMB2_NEGOTIATE_SIZE	36

struct smb2_negotiate_request {
	struct smb2_header header;
	__le16 structure_size;
	__le16 dialect_count;
	__le16 security_mode;
	__le16 reserved;
	__le32 capabilities;
	u8 client_guid[16];
	__le64 start_time;
	__le16 dialects[3];
} __packed;

#define SMB2_NEGOTIATED_SIZE	65	/* one byte more than the part below */

struct smb2_negotiate_reply {
	struct smb2_header header;
	__le16 structure_size;
	__le16 security_mode;
	__le16 dialect;
	u8 unused[58];		/* this client ignores the rest */
} __packed;

static_assert(sizeof(struct smb2_negotiate_reply) == SMB2_HEADER_SIZE + SMB2_NEGOTIATED_SIZE - 1);

#define SMB2_ECHO_SIZE		4

/* An ECHO request, its reply, and a CANCEL */
struct smb2_echo {
	struct smb2_header header;
	__le16 structure_size;
	__le16 reserved;
} __packed;

#endif /* _SMB2_H */

// SPDX-License-Identifier: GPL-2.0
/*
 * The server's part of SMB2, for client.c
 *
 * It ends the run where a real server would end the connection: at an id that it has seen
 * before, or for which it has granted no credit.
 */
#include "server.h"
#include "smb2.h"
#include "window.h"

#define IDS	4096	/* a client sends less in one input */

/* Of the connection: the ids that were sent and answered, and the first one not granted */
static u8 seen[IDS], answered[IDS];
static u64 limit;

unsigned int warnings;	/* of the kernel, see window.h */

const struct protocol *const server_protocol = &smb2;

struct options server_options(u8 how)
{
	return (struct options){
		.compound_every = how & 3,
		.credits = 1 + (how >> 2 & 31),
		.slots = how >> 7 ? 64 : 1,
		.tries = 2,
		.timeout_ms = 400,
		.quarantine_ms = 300,
	};
}

void server_connected(void)
{
	memset(seen, 0, sizeof(seen));
	memset(answered, 0, sizeof(answered));
	limit = 1;
}

void server_got(struct message *message)
{
	const struct smb2_header *header;
	size_t at = HEAD, next;
	u64 id;

	do {
		header = (const void *)message->data + at;
		must(message->size - at >= sizeof(struct smb2_echo), "a short request");
		must(header->magic == SMB2_MAGIC &&
		     le16_to_cpu(header->structure_size) == SMB2_HEADER_SIZE, "not a request");
		id = le64_to_cpu(header->message_id);
		must(id < IDS && id < limit, "id %llu, and %llu were granted",
		     (unsigned long long)id, (unsigned long long)limit);
		if (le16_to_cpu(header->command) == SMB2_CANCEL) {
			must(seen[id], "a CANCEL of a request that was not sent");
		} else {
			must(!seen[id]++, "id %llu was sent twice", (unsigned long long)id);
			must((le16_to_cpu(header->command) == SMB2_NEGOTIATE) == !id,
			     "the first request is another one than NEGOTIATE");
		}
		next = le32_to_cpu(header->next_command);
		must(next % SMB2_ALIGNMENT == 0, "an unaligned compound");
		at += next;
	} while (next);
}

/* Whether the client may take it for the answer to the first request, or to another one */
static bool is_answer(const struct smb2_echo *reply, bool first)
{
	u16 command = le16_to_cpu(reply->header.command);

	if (reply->header.magic != SMB2_MAGIC || reply->header.status ||
	    !(le32_to_cpu(reply->header.flags) & SMB2_FLAGS_REPLY))
		return false;
	if (first)
		return command == SMB2_NEGOTIATE;
	return command == SMB2_ECHO && le16_to_cpu(reply->structure_size) == SMB2_ECHO_SIZE;
}

/* What a client may make of a response that was sent */
static void response_sent(const struct smb2_echo *reply)
{
	u64 id = le64_to_cpu(reply->header.message_id);

	limit += le16_to_cpu(reply->header.credits);
	if (id < IDS && seen[id] && !answered[id] && is_answer(reply, !id)) {
		answered[id] = true;
		good++;
	}
}

/* The correct response to a request: its size */
static size_t response_to(const struct smb2_header *request, bool interim, struct smb2_header *to)
{
	struct smb2_negotiate_reply *negotiated = (void *)to;
	struct smb2_echo *echo = (void *)to;
	u8 credits = input_byte();

	memcpy(to, request, sizeof(*to));
	to->flags = cpu_to_le32(SMB2_FLAGS_REPLY | (interim ? SMB2_FLAGS_ASYNC : 0));
	to->credits = cpu_to_le16(credits < 0xf0 ? credits & 15 : (credits & 15) * 0x1111);
	to->next_command = 0;
	if (interim) {
		to->status = cpu_to_le32(SMB2_STATUS_PENDING);
		to->async_id = cpu_to_le64(input_byte());
	}
	if (request->command != cpu_to_le16(SMB2_NEGOTIATE) || interim) {
		echo->structure_size = cpu_to_le16(SMB2_ECHO_SIZE);
		echo->reserved = 0;
		return sizeof(*echo);
	}
	memset(&negotiated->structure_size, 0, sizeof(*negotiated) - sizeof(*to));
	negotiated->structure_size = cpu_to_le16(SMB2_NEGOTIATED_SIZE);
	negotiated->dialect = cpu_to_le16(SMB2_DIALECT_300);
	return sizeof(*negotiated);
}

/* A recent request: of a compound the first one, or the second */
static const struct smb2_header *recent(u8 what)
{
	unsigned int ago = 1 + (what & 0x7f) % min(nr_sent, SENT + 0u);
	const struct smb2_header *header = (void *)sent[(nr_sent - ago) % SENT].data + HEAD;

	return (const void *)header + (what & 0x80 ? le32_to_cpu(header->next_command) : 0);
}

/* A response, or a compound of two, with the changes that the input makes */
void say_reply(void)
{
	u8 reply[MESSAGE_MAX] = { }, what = input_byte(), how = input_byte();
	size_t size, second = 0, cut = 0;

	if (!nr_sent || !room_for(HEAD + MESSAGE_MAX))
		return;
	size = response_to(recent(what), how & 1, (void *)reply);
	if (how & 0x10) {
		second = ALIGN(size, SMB2_ALIGNMENT);
		((struct smb2_header *)reply)->next_command = cpu_to_le32(second);
		size = second + response_to(recent(input_byte()), how & 0x20,
					    (void *)reply + second);
	}
	if (how & 2)
		reply[input_byte() % size] ^= input_byte();
	if (how & 4)
		reply[second + input_below(sizeof(struct smb2_echo))] = input_byte();
	if (how & 8)
		cut = input_byte() % (size + 1);
	response_sent((void *)reply);
	if (second)
		response_sent((void *)reply + second);
	stream_head(size - cut);
	stream_put(reply, size - cut);
}

/* A message of the server's own, which may bring credits, or a response with any id */
void say_unasked(void)
{
	struct smb2_echo reply = {
		.header.magic = SMB2_MAGIC,
		.header.structure_size = cpu_to_le16(SMB2_HEADER_SIZE),
		.header.command = cpu_to_le16(SMB2_ECHO),
		.header.flags = cpu_to_le32(SMB2_FLAGS_REPLY),
		.structure_size = cpu_to_le16(SMB2_ECHO_SIZE),
	};
	u8 how = input_byte();

	if (!room_for(HEAD + sizeof(reply)))
		return;
	reply.header.credits = cpu_to_le16(how & 3);
	reply.header.message_id = how & 0x80 ? cpu_to_le64(MID_WINDOW_RESERVED) :
				  cpu_to_le64(input_number());
	response_sent(&reply);
	stream_head(sizeof(reply));
	stream_put(&reply, sizeof(reply));
}

void server_check(void)
{
	must(!warnings, "the kernel warns");
	must(result(REPLIED) - result(MISMATCHES) <= good,
	     "%lld good replies of %u", (long long)(result(REPLIED) - result(MISMATCHES)), good);
	must(result(ABANDONED) <= result(CANCELLED) + result(TIMED_OUT),
	     "more were abandoned than given up");
}

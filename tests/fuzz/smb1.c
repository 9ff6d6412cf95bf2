// SPDX-License-Identifier: GPL-2.0
/*
 * The server's part of SMB1, for client.c
 */
#include "server.h"

const struct protocol *const server_protocol = &smb1;

struct options server_options(u8 how)
{
	return (struct options){
		.payload = 4 + (how & 15),
		.echo_count = 1 + (how >> 4 & 3),
		.several_every = 1,
		.reassociate_every = how >> 6,
		.tries = 2,
		.timeout_ms = 400,
		.quarantine_ms = 300,
	};
}

void server_connected(void) { }
void server_got(struct message *message) { }

/* Builds the correct reply to @request and returns its size. */
static size_t reply_to(const u8 *request, size_t size, unsigned int number, u8 *to)
{
	struct smb_negotiate_reply *negotiated = (void *)to;
	struct smb_echo *echo = (void *)to;
	u8 max_mpx;

	memcpy(to, request + HEAD, size - HEAD);
	echo->header.flags |= SMB_FLAGS_REPLY;
	if (echo->header.command == SMB_COM_ECHO) {
		echo->count = cpu_to_le16(number);
		return size - HEAD;
	}
	max_mpx = input_byte();
	memset(to + sizeof(echo->header), 0, 64);
	negotiated->header.word_count = SMB_NEGOTIATE_WORDS;
	negotiated->max_mpx = cpu_to_le16(max_mpx < 0xf8 ? max_mpx & 15 : max_mpx);
	return sizeof(struct smb_header) + 2 * SMB_NEGOTIATE_WORDS + sizeof(__le16);
}

/* Do the replies differ in a field that the client checks, except for the count? */
static bool matters(const struct smb_echo *reply, const struct smb_echo *right, size_t size)
{
	const struct smb_header *a = &reply->header, *b = &right->header;

	return a->magic != b->magic || a->command != b->command || a->status != b->status ||
		!(a->flags & SMB_FLAGS_REPLY) || a->mid != b->mid ||
		a->word_count != b->word_count || reply->byte_count != right->byte_count ||
		memcmp(reply->data, right->data, size - sizeof(*right));
}

/* May the client accept this reply?  At most one for each count. */
static bool may_be_good(struct message *request, const struct smb_echo *reply,
			const struct smb_echo *right, size_t size)
{
	u32 number = 1u << (le16_to_cpu(reply->count) & 31);

	if (right->header.command != SMB_COM_ECHO || matters(reply, right, size) ||
	    request->right & number)
		return false;
	request->right |= number;
	return true;
}

/* The reply to a recent request, with the changes that the input makes */
void say_reply(void)
{
	u8 right[MESSAGE_MAX], reply[MESSAGE_MAX];
	u8 what = input_byte(), how = input_byte();
	unsigned int ago = nr_sent ? 1 + what % min(nr_sent, SENT + 0u) : 0;
	struct message *request = &sent[(nr_sent - ago) % SENT];
	size_t size, cut = 0, at;

	if (!ago || !room_for(HEAD + MESSAGE_MAX))
		return;
	if (!(how & 1))
		request->replies++;
	size = reply_to(request->data, request->size, request->replies + (how >> 6), right);
	memcpy(reply, right, size);
	if (how & 2) {
		at = input_byte() % size;
		reply[at] ^= input_byte();
	}
	if (how & 4) {
		at = input_below(sizeof(struct smb_echo));
		reply[at] = input_byte();
	}
	if (how & 8)
		cut = input_byte() % (size + 1);
	good += !cut && may_be_good(request, (void *)reply, (void *)right, size);
	stream_head(size - cut);
	stream_put(reply, size - cut);
}

void say_unasked(void)
{
	struct smb_header header = {
		.magic = SMB_MAGIC, .command = SMB_COM_ECHO, .flags = SMB_FLAGS_REPLY,
	};
	u8 how = input_byte();

	if (!room_for(HEAD + SMB_MESSAGE_MIN))
		return;
	header.mid = how == 0xff ? cpu_to_le16(0xffff) : cpu_to_le16(input_word());
	stream_head(SMB_MESSAGE_MIN - (how & 1 && how != 0xff));
	stream_put(&header, sizeof(header));
	stream_put("\0", 2 - (how & 1 && how != 0xff));
}

void server_check(void)
{
	must(result(REPLIES) - result(MISMATCHES) <= good,
	     "%lld good replies of %u", (long long)(result(REPLIES) - result(MISMATCHES)), good);
	must(result(ABANDONED) <= result(CANCELLED), "more were abandoned than cancelled");
}

// SPDX-License-Identifier: GPL-2.0
/*
 * cifs for SMB2: ids from a 64-bit counter under a lock (smb2_get_next_mid())
 */
#include "cifs.h"

#define smb2_create	cifs_create
#define smb2_destroy	cifs_destroy

static int smb2_associate(void *table, struct bench_req *req, u32 *id)
{
	struct cifs_table *t = table;
	u64 mid = cifs_next_mid(t);

	cifs_enqueue(t, req, mid);
	*id = mid;
	return 0;
}

static struct bench_req *smb2_map(void *table, u32 id)
{
	return cifs_find(table, id);
}

static struct bench_req *smb2_dissociate(void *table, u32 id, struct bench_req *found)
{
	return cifs_dequeue(table, found);
}

BENCH_BASELINE(smb2, "cifs_smb2", .deepest = 4096, .linked = true, .unbounded = true);

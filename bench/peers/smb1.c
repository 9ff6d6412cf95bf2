// SPDX-License-Identifier: GPL-2.0
/*
 * cifs for SMB1: the next 16-bit id that no request in the list has (cifs_get_next_mid()),
 * which takes a linear search for each candidate
 */
#include "cifs.h"

#define SMB1_UNSOLICITED	0xffff

#define smb1_create	cifs_create
#define smb1_destroy	cifs_destroy

static bool smb1_in_use(struct cifs_table *t, u16 mid)
{
	struct cifs_mid *entry;
	bool in_use = false;

	spin_lock(&t->queue_lock);
	list_for_each_entry(entry, &t->pending, list) {
		if (entry->mid == mid && entry->state == CIFS_SUBMITTED) {
			in_use = true;
			break;
		}
	}
	spin_unlock(&t->queue_lock);
	return in_use;
}

static int smb1_next_mid(struct cifs_table *t, u16 *next)
{
	u16 mid, last;
	int err = -EBUSY;

	spin_lock(&t->counter_lock);
	last = t->current_mid;
	mid = last;
	while (++mid != last) {
		if (mid && mid != SMB1_UNSOLICITED && !smb1_in_use(t, mid)) {
			t->current_mid = mid;
			*next = mid;
			err = 0;
			break;
		}
	}
	spin_unlock(&t->counter_lock);
	return err;
}

static int smb1_associate(void *table, struct bench_req *req, u32 *id)
{
	u16 mid;
	int err = smb1_next_mid(table, &mid);

	if (err)
		return err;
	cifs_enqueue(table, req, mid);
	*id = mid;
	return 0;
}

static struct bench_req *smb1_map(void *table, u32 id)
{
	return cifs_find(table, id);
}

static struct bench_req *smb1_dissociate(void *table, u32 id, struct bench_req *found)
{
	return cifs_dequeue(table, found);
}

BENCH_BASELINE(smb1, "cifs_smb1", .deepest = 4096, .linked = true, .unbounded = true);

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What f3 has to ask and to count if it is to do all that the atlas does
 *
 * As little of it as there can be: it is never so, and who finds that it is so gives up.
 */
#ifndef _MIDATLAS_BENCH_F3_ALL_H
#define _MIDATLAS_BENCH_F3_ALL_H

/* Growth: there may be another table by now, of another size. */
static __always_inline struct f3_table *f3_table(void *table)
{
	struct f3_table *t = table;

	return rcu_dereference_raw(t->current_table);
}

static __always_inline unsigned long f3_index(const struct f3_table *t, u32 id)
{
	return id & t->mask;
}

/* A MID: the slot's number, and above it the lowest bits of its use */
static __always_inline u32 f3_step(const struct f3_table *t)
{
	return t->step;
}

static __always_inline u32 f3_id(const struct f3_table *t, unsigned int i, u32 word)
{
	return i | (word / F3_USE & t->spare);
}

static __always_inline bool f3_is_reserved(u32 id)
{
	return id == 0xffff;
}

static __always_inline bool f3_match(const struct f3_table *t, u64 word, u32 id)
{
	return !(((u32)word ^ (id * F3_USE | F3_LIVE)) & t->match);
}

/* NULL and error pointers are no requests. */
static __always_inline bool f3_may_associate(const void *req)
{
	return !IS_ERR_OR_NULL(req);
}

/* Nearly full: what was freed last needs no search. */
static noinline void f3_tighten(struct f3_table *t)
{
	struct f3_cpu *cpu = raw_cpu_ptr(t->cpu);

	WRITE_ONCE(cpu->last, F3_NONE);
	WRITE_ONCE(cpu->next, F3_NONE);
}

static __always_inline void f3_note(struct f3_cpu *cpu, unsigned int i)
{
	if (unlikely(READ_ONCE(cpu->next) == F3_NONE))
		WRITE_ONCE(cpu->last, i);
}

/* A slot was taken: may it be? */
static __always_inline bool f3_associated(struct f3_table *t)
{
	if (unlikely(atomic_read(&t->mode)))
		return false;
	this_cpu_inc(t->cpu->associated);
	return true;
}

/* A new peak on this CPU, another jiffy, or something is up: the rest of a dissociate */
static noinline struct bench_req *f3_rare(struct f3_table *t, unsigned int i,
					  struct bench_req *req)
{
	struct f3_cpu *cpu = raw_cpu_ptr(t->cpu);
	long net = READ_ONCE(cpu->associated) - READ_ONCE(cpu->dissociated);

	f3_note(cpu, i);
	WRITE_ONCE(t->sampled, jiffies);
	WRITE_ONCE(cpu->peak, max(net, READ_ONCE(cpu->peak)));
	this_cpu_inc(t->cpu->dissociated);
	return req;
}

static __always_inline bool f3_sample_is_old(const struct f3_table *t)
{
	unsigned long now = jiffies;

	return time_after(now, READ_ONCE(t->sampled));
}

/* A slot is free: is that news for somebody, and how many were in flight before? */
static __always_inline struct bench_req *f3_dissociated(struct f3_table *t, unsigned int i,
							struct bench_req *req)
{
	struct f3_cpu *cpu = raw_cpu_ptr(t->cpu);
	long net = READ_ONCE(cpu->associated) - READ_ONCE(cpu->dissociated);

	if (unlikely(net > READ_ONCE(cpu->peak) || f3_sample_is_old(t) ||
		     atomic_read(&t->mode)))
		return f3_rare(t, i, req);
	f3_note(cpu, i);
	this_cpu_inc(t->cpu->dissociated);
	return req;
}

#endif /* _MIDATLAS_BENCH_F3_ALL_H */

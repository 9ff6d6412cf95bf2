/* SPDX-License-Identifier: GPL-2.0 */
/*
 * place - where the requests in flight are
 *
 * Each request has an *entry*: a slot (midslot.h), the ids, and what else the window
 * knows of it, in one cache line.  The entries are a hash table with linear probing: the
 * entry of an id is the first one from the id's home on that was free when the request
 * began.  Nothing moves, and a claim just frees the slot.  A lookup that finds no
 * request stops after @reach entries: no request was ever farther from its home.
 *
 * Entries are filled under the lock, so a slot that is not FREE under the lock is not
 * taken by another request before the lock is released.
 *
 *	T1: begin			T2: map(id)
 *
 *	slot: FREE|v -> BUSY|v+1
 *	ids, request, reach
 *					slot is BUSY: next entry
 *	slot: -> LIVE|v+1
 *					slot is LIVE|v+1, id matches
 *					reads the request
 *					slot is still LIVE|v+1: returns it
 *
 * The two looks at the word stand around the ids, too, so T2 cannot take the id of one
 * request for that of another that has the entry now [map-reuse].
 *
 * Home
 * ====
 *
 * Ids go out in sequence, and most replies come in about the same order.  So as many ids as
 * there are entries have different homes: the home is the id times a small odd *stride*.
 * With a stride of one the requests in flight would be in a row, and one of a million ids
 * ago in the middle of it would lengthen many searches.  Each such block of ids begins at
 * another place, which is a product with a secret number.
 *
 * A server chooses which requests stay in flight.  It cannot choose those of different
 * blocks so that they have the same home, nor those of one block so that they are in a row,
 * unless it guesses the stride, one of 14: this is secret, too.
 *
 * Room
 * ====
 *
 * A table of 2^n entries has *room* for 3/4 of them, which keeps the ways short.  Room is
 * used by requests in flight, by requests in quarantine, and by spans: a reserve keeps
 * room for the first request of its span.  If there is none, a table of four times the
 * size is put in front.  The *older* ones stay until destroy, with the requests that are in
 * there; all of them have a third of the newest's size.
 *
 * @associated counts under the lock what began, and @freed what ended.  The slot becomes
 * FREE first, then it is counted:
 *
 *	T1: dissociate			T2: begin
 *
 *	slot: LIVE -> FREE
 *	@freed += 1
 *					@freed: there is room
 *					finds a free entry
 *
 * The atomic add is a full barrier, and T2's read of @freed an acquire: if T2 sees the
 * count it sees the slot FREE [room-free].
 *
 * SLOW, bit 0 of @freed, is set while a task waits.  Like SLOW in the credits' word, it is in
 * the same word as the count, so no claim misses a task that waits, or a drain:
 *
 *	T1: dissociate			T2: drain
 *
 *	slot: LIVE -> FREE
 *					lock, @freed |= SLOW, unlock
 *	@freed += 4, SLOW is set		is not 0 in use yet: waits
 *	0 in use: lock, wakes T2
 *
 * Most tasks wait for ids, and a grant brings these.  So a claim takes the lock for them only
 * if nothing is in use any more, and no reply can come that would grant.  While there is no
 * room for them ROOM is set, too, and every claim takes the lock.
 */
#ifndef _MIDWINDOW_PLACE_H
#define _MIDWINDOW_PLACE_H

#ifndef MID_FIRST_BITS	/* the model has a smaller one */
#define MID_FIRST_BITS		5
#endif
#define MID_GROW_BITS		2
#define MID_MAX_BITS		17	/* has room for MID_WINDOW_MAX_SLOTS */

/* How many strides there are: 5, 7, 9 and so on */
#define MID_STRIDES		14
#define MID_STRIDE_LEAST	5

#define MID_FREED_SLOW		1
#define MID_FREED_ROOM		2
#define MID_FREED_ONE		4

/**
 * struct mid_entry - one request in flight
 * @slot: the request, and the state of the entry
 * @id: the first of its ids
 * @async_id: the AsyncId of its interim response, or 0; under the lock
 * @epoch: the epoch of its ids
 * @charge: how many ids it has
 * @begun: when it began, in nanoseconds, see midlatency.h
 * @node: in mid_window::abandoned, or in a list of the sweep that claimed it
 */
struct mid_entry {
	struct mid_slot slot;
	u64 id;
	u64 async_id;
	u32 epoch;
	u32 charge;
	u64 begun;
	struct list_head node;
} __aligned(64);

/**
 * struct mid_hash - entries by their ids
 * @older: the table before this one
 * @entries: 2^@bits of them
 * @bits: how large the table is
 * @mask: 2^@bits - 1
 * @room: for how many requests there is room
 * @reach: no request is farther from its home
 */
struct mid_hash {
	struct mid_hash *older;
	struct mid_entry *entries;
	unsigned int bits;
	unsigned int mask;
	unsigned int room;
	unsigned int reach;
};

/* The entry after @e, which is NULL at first, in all tables; @h is the table of @e. */
static struct mid_entry *mid_window_next_entry(const struct mid_window *w, struct mid_hash **h,
					       struct mid_entry *e)
{
	if (e && e++ < (*h)->entries + (*h)->mask)
		return e;
	/* Pairs with mid_window_grow(). */
	*h = e ? (*h)->older : smp_load_acquire(&w->hash);
	return *h ? (*h)->entries : NULL;
}

static unsigned int mid_hash_room(unsigned int bits)
{
	return min_t(unsigned int, 3 << bits >> 2, MID_WINDOW_MAX_SLOTS);
}

/* The size of a table that has room for @slots requests */
static unsigned int mid_hash_bits(unsigned int slots)
{
	unsigned int bits = MID_FIRST_BITS;

	while (mid_hash_room(bits) < slots)
		bits++;
	return bits;
}

static struct mid_hash *mid_hash_alloc(unsigned int bits, gfp_t gfp)
{
	struct mid_hash *h = mid_window_alloc(sizeof(*h), gfp);

	if (!h)
		return NULL;
	h->entries = mid_window_alloc(sizeof(*h->entries) << bits, gfp);
	if (!h->entries) {
		kfree(h);
		return NULL;
	}
	h->bits = bits;
	h->mask = BIT(bits) - 1;
	h->room = mid_hash_room(bits);
	return h;
}

static void mid_hash_free(struct mid_hash *h)
{
	if (h)
		kvfree(h->entries);
	kfree(h);
}

static __always_inline unsigned int mid_hash_home(const struct mid_window *w,
						  const struct mid_hash *h, u64 id)
{
	u64 product = (id >> h->bits) * w->secret;

	return id * w->stride + (product ^ product >> 32);
}

static __always_inline struct mid_entry *mid_hash_entry(const struct mid_hash *h, unsigned int i)
{
	return &h->entries[i & h->mask];
}

static __always_inline bool mid_word_in_use(u64 word)
{
	return mid_word_state(word) >= MID_ABANDONED;
}

/* The request of an entry, or NULL, and the ids and the @word that belong to it */
static void *mid_entry_read(const struct mid_entry *e, u64 *word, u64 *id, u32 *epoch)
{
	void *ctx;

	do {
		/* Pairs with the release in mid_slot_publish(). */
		*word = atomic64_read_acquire(&e->slot.word);
		ctx = READ_ONCE(e->slot.ctx);
		*id = READ_ONCE(e->id);
		*epoch = READ_ONCE(e->epoch);
		/* As in mid_slot_map(): all of them are those of this word [map-reuse]. */
		smp_rmb();
	} while (unlikely((u64)atomic64_read(&e->slot.word) != *word));
	return *word & MID_LIVE ? ctx : NULL;
}

/* The entry of a request in flight or in quarantine, and the word that it had, or NULL */
static __always_inline struct mid_entry *mid_window_find(const struct mid_window *w, u32 epoch,
							 u64 id, u64 *word)
{
	struct mid_entry *e;
	struct mid_hash *h;
	unsigned int i, n;

	if (READ_ONCE(w->epoch) != epoch)
		return NULL;
	/* Pairs with mid_window_grow(). */
	for (h = smp_load_acquire(&w->hash); h; h = h->older) {
		i = mid_hash_home(w, h, id);
		n = 0;
		do {
			e = mid_hash_entry(h, i + n);
			/* Pairs with the release in mid_slot_publish(). */
			*word = atomic64_read_acquire(&e->slot.word);
			if (READ_ONCE(e->id) == id && READ_ONCE(e->epoch) == epoch &&
			    mid_word_in_use(*word))
				return e;
		} while (n++ < READ_ONCE(h->reach));
	}
	return NULL;
}

/*
 * Takes the request of an id, if it is @only or that is NULL: its slot is in @state after
 * that, and the request is the caller's.  @e is the entry of the id in any case, or NULL,
 * @word the word of its slot, and @begun when the request began.  -EAGAIN if the slot is
 * being changed.
 */
static __always_inline void *mid_window_try_claim(struct mid_window *w, u32 epoch, u64 id,
						  const void *only, unsigned int state,
						  struct mid_entry **e, u64 *word, u64 *begun)
{
	void *ctx;

	*e = mid_window_find(w, epoch, id, word);
	if (!*e || mid_word_state(*word) == MID_ABANDONED)
		return NULL;
	if (unlikely(mid_word_state(*word) == MID_LOCKED))
		return ERR_PTR(-EAGAIN);
	ctx = READ_ONCE((*e)->slot.ctx);
	if (only && ctx != only)
		return NULL;
	*begun = READ_ONCE((*e)->begun);
	return mid_slot_claim_word(&(*e)->slot, word, state) ? ctx : ERR_PTR(-EAGAIN);
}

/* The same, as often as it takes */
static void *mid_window_claim(struct mid_window *w, u32 epoch, u64 id, const void *only,
			      unsigned int state, struct mid_entry **e, u64 *word, u64 *begun)
{
	void *ctx;

	while (IS_ERR(ctx = mid_window_try_claim(w, epoch, id, only, state, e, word, begun)))
		mid_slot_settled(&(*e)->slot, &w->lock);
	return ctx;
}

/* How many requests are in flight, in quarantine, or in the hands of a sweep */
static unsigned int mid_window_in_use(struct mid_window *w)
{
	lockdep_assert_held(&w->lock);

	/* Pairs with mid_window_freed(). */
	w->freed_seen = (u64)atomic64_read_acquire(&w->freed) / MID_FREED_ONE;
	return w->associated - w->freed_seen;
}

/* Whether there is room for one request more */
static bool mid_window_has_room(struct mid_window *w)
{
	unsigned int room = w->hash->room - w->rooms;

	/* Without a look at @freed, which another CPU writes, if that is enough */
	return w->associated - w->freed_seen < room || mid_window_in_use(w) < room;
}

static void mid_window_note_peak(struct mid_window *w)
{
	unsigned int n = mid_window_in_use(w);

	if (n > w->high_water)
		w->high_water = n;
}

/* While tasks wait, each grant takes the lock, and notes the peak: @freed is in its cache. */
static void mid_window_count(struct mid_window *w)
{
	u64 n = w->associated + 1;

	WRITE_ONCE(w->associated, n);
	if (n - w->freed_seen > w->high_water && !w->slow)
		mid_window_note_peak(w);
}

/* A request with the ids from @first on is in flight.  There must be room. */
static __always_inline void mid_window_fill(struct mid_window *w, u64 first,
					    unsigned int charge, void *ctx, struct mid_tag *tag)
{
	struct mid_hash *h = w->hash;
	unsigned int i = mid_hash_home(w, h, first), n = 0;
	struct mid_entry *e;
	u64 word;

	lockdep_assert_held(&w->lock);

	while (!mid_slot_is_free(&(e = mid_hash_entry(h, i + n))->slot))
		n++;
	if (n > h->reach)
		WRITE_ONCE(h->reach, n);
	word = mid_slot_take_locked(&e->slot, MID_GEN_ONE);
	WRITE_ONCE(e->id, first);
	WRITE_ONCE(e->epoch, w->epoch);
	WRITE_ONCE(e->charge, charge);
	WRITE_ONCE(e->slot.ctx, ctx);
	e->async_id = 0;
	WRITE_ONCE(e->begun, mid_latency_stamp(&w->folder.latency));
	trace_midwindow_associate(w, w->epoch, first, charge, ctx);
	mid_window_count(w);
	/* Often a member of the request: once it is LIVE it is not ours. */
	tag->id = first;
	tag->epoch = w->epoch;
	mid_slot_publish(&e->slot, word);
}

/* Whether somebody wants to know when a request ends */
static __always_inline bool mid_window_watched(void)
{
	return trace_midwindow_dissociate_enabled() || static_branch_unlikely(&mid_timed);
}

/* The request @ctx has ended.  @begun and @word are those of its entry. */
static noinline void mid_window_watch_end(struct mid_window *w, u32 epoch, u64 id, void *ctx,
					  u64 begun, u64 word)
{
	u64 age = mid_latency_count(&w->folder.latency, begun, mid_word_age(word));

	trace_midwindow_dissociate(w, epoch, id, ctx, age);
}

#endif /* _MIDWINDOW_PLACE_H */

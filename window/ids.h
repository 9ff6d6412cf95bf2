/* SPDX-License-Identifier: GPL-2.0 */
/*
 * ids - the ids of one epoch, and the server's credits
 *
 *	0            tail                  next             limit
 *	+-------------+---------------------+----------------+- - - ->
 *	|    used     | used/span/returned  |   available    | not granted
 *	+-------------+---------------------+----------------+- - - ->
 *	              |<------- at most MID_IDS_SPREAD ------>
 *
 * Ids from @next to @limit are granted and *new*.  Below @next an id is used, in a
 * span, or was *returned* to the window.  Two rings have one bit each for an id:
 *
 *	out  back
 *	 0    0		used
 *	 1    0		in a span
 *	 1    1		in a span that has room for one request, see place.h
 *	 0    1		returned
 *
 * Returning ids sets bits, so adjacent ranges merge; returned ids just below @next
 * lower @next and are new again.  This allocates nothing and cannot fail.  A request
 * that begins with new ids does not touch the rings.
 *
 * "The client MUST use the lowest available range of consecutive sequence
 * numbers" (3.2.4.1.6): returned ids are searched first, from @tail.  Servers rely on
 * this.  A server may wait for the lowest id that it has not seen, and grant
 * nothing until it arrives (3.3.1.1).  An id beyond the server's window, or one
 * that it has seen before, ends the connection (3.3.5.2.3).  So a missing id
 * stalls the connection, and a repeated id ends it.
 *
 * The rings cover MID_IDS_SPREAD ids: new ids are refused that far above the lowest
 * unsent id.  So a caller that keeps a span forever stops the window, as it would
 * stop the server's.  @tail is a lower bound of the lowest unsent id, and a multiple of
 * BITS_PER_LONG: all searches look at whole words, at most 256 of them.
 *
 * Credits arrive in one word, so that a grant takes no lock:
 *
 *	63             32  31  30              0
 *	+----------------+----+----------------+
 *	|     epoch      |SLOW|    credits     |
 *	+----------------+----+----------------+
 *
 * A sender that needs them moves them to @limit.  While a task waits, this makes the word SLOW
 * in the same step, and then a grant takes the lock:
 *
 *	T1: grant			T2: reserve, finds too few ids
 *
 *	word is not SLOW		lock
 *					joins the queue
 *					takes the credits, word is SLOW
 *	cmpxchg fails, word is SLOW
 *	waits for the lock
 *					still too few, unlock
 *	lock, @limit += credits
 *	serves T2
 *
 * If the cmpxchg comes first, T2 takes its credits, too.  The word is not SLOW while the first
 * in line waits for room only.  A reset changes the epoch in the word:
 *
 *	T1: grant(old, n)		T2: reset
 *
 *	epoch in the word is old
 *					lock, word = new epoch, no credits
 *	cmpxchg fails
 *	epoch in the word is new: -ESTALE
 */
#ifndef _MIDWINDOW_IDS_H
#define _MIDWINDOW_IDS_H

/* The ids that the rings cover; a power of two */
#ifndef MID_IDS_SPREAD	/* the model has a smaller one */
#define MID_IDS_SPREAD		(2 * MID_WINDOW_MAX_SPAN)
#endif

#define MID_CREDITS_SLOW	BIT_ULL(31)
#define MID_CREDITS_MASK	(MID_CREDITS_SLOW - 1)
#define MID_CREDITS_EPOCH	32

/**
 * struct mid_rings - two bits for each id, by id modulo MID_IDS_SPREAD
 * @of: for each word of ids, side by side, so that a reserve writes one cache line
 * @of.out: the id is in a span
 * @of.back: the id was returned; or, if it is in a span, the span has room
 */
struct mid_rings {
	struct mid_ring_words {
		unsigned long out;
		unsigned long back;
	} of[BITS_TO_LONGS(MID_IDS_SPREAD)];
};

static struct mid_ring_words *mid_ring_words(const struct mid_window *w, u64 id)
{
	return &w->rings->of[BIT_WORD(id & (MID_IDS_SPREAD - 1))];
}

/* Whether an id below @next is in a span, or was returned */
static bool mid_ids_is_unsent(const struct mid_window *w, u64 id)
{
	const struct mid_ring_words *words = mid_ring_words(w, id);

	return (words->out | words->back) & BIT_MASK(id);
}

/* Of @n ids from @first on those that are in one word: their bits, and how many */
static __always_inline unsigned long mid_ring_mask(u64 first, unsigned int n, unsigned int *part)
{
	unsigned int bit = first % BITS_PER_LONG;

	*part = min_t(unsigned int, n, BITS_PER_LONG - bit);
	return GENMASK(bit + *part - 1, bit);
}

/* Sets both bits of @n ids. */
static __always_inline void mid_ids_mark(struct mid_window *w, u64 first, unsigned int n,
					 bool out, bool back)
{
	struct mid_ring_words *words;
	unsigned long mask;
	unsigned int part;

	for (; n; first += part, n -= part) {
		mask = mid_ring_mask(first, n, &part);
		words = mid_ring_words(w, first);
		words->out = out ? words->out | mask : words->out & ~mask;
		words->back = back ? words->back | mask : words->back & ~mask;
	}
}

/* Initialises the ids of a new connection: { @first }. */
static void mid_ids_open(struct mid_window *w, u64 first)
{
	w->next = first;
	w->tail = round_down(first, BITS_PER_LONG);
	w->limit = first + 1;
	w->returned = 0;
	w->spans = 0;
	memset(w->rings, 0, sizeof(*w->rings));
}

/* The returned ids of the word that has @id: one bit each */
static unsigned long mid_ids_returned(const struct mid_window *w, u64 id)
{
	const struct mid_ring_words *words = mid_ring_words(w, id);

	return words->back & ~words->out;
}

static u64 mid_ids_lowest_unsent(const struct mid_window *w)
{
	const struct mid_ring_words *words;
	u64 id;

	for (id = w->tail; id - w->tail < w->next - w->tail; id += BITS_PER_LONG) {
		words = mid_ring_words(w, id);
		if (words->out | words->back)
			return id + __ffs(words->out | words->back);
	}
	return w->next;
}

/* How many ids from @id on were returned, at most @most */
static unsigned int mid_ids_run(const struct mid_window *w, u64 id, unsigned int most)
{
	unsigned int bit, n = 0;
	unsigned long gaps;

	do {
		bit = (id + n) % BITS_PER_LONG;
		gaps = ~mid_ids_returned(w, id + n) >> bit;
		if (gaps)
			return min_t(unsigned int, most, n + __ffs(gaps));
		n += BITS_PER_LONG - bit;
	} while (n < most);
	return most;
}

/* How many ids just below @next were returned */
static unsigned int mid_ids_run_below_next(const struct mid_window *w)
{
	unsigned int bit, n = 0;
	unsigned long gaps;

	while (w->next - n > w->tail) {
		bit = (w->next - n - 1) % BITS_PER_LONG;
		gaps = ~mid_ids_returned(w, w->next - n - 1) << (BITS_PER_LONG - 1 - bit);
		if (gaps)
			return n + BITS_PER_LONG - 1 - __fls(gaps);
		n += bit + 1;
	}
	return n;
}

/* The bits of @word at which a run of @n set bits begins */
static unsigned long mid_word_runs(unsigned long word, unsigned int n)
{
	unsigned int have, step;

	for (have = 1; have < n; have += step) {
		step = min(have, n - have);
		word &= word >> step;
	}
	return word;
}

/* The lowest run of at least @min returned ids: its length, at most @max, or 0 */
static unsigned int mid_ids_find_returned(const struct mid_window *w, unsigned int min,
					  unsigned int max, u64 *first)
{
	unsigned int low, run = 0;
	unsigned long word, runs;
	u64 id;

	/* @run ids just below @id were returned. */
	for (id = w->tail; id - w->tail < w->next - w->tail; id += BITS_PER_LONG) {
		word = mid_ids_returned(w, id);
		low = ~word ? __ffs(~word) : BITS_PER_LONG;
		runs = min <= BITS_PER_LONG ? mid_word_runs(word, min) : 0;
		if (run + low >= min || runs) {
			*first = run + low >= min ? id - run : id + __ffs(runs);
			return mid_ids_run(w, *first, max);
		}
		run = ~word ? BITS_PER_LONG - 1 - __fls(~word) : run + BITS_PER_LONG;
	}
	return 0;
}

static u64 mid_credits_word(u32 epoch, u64 slow)
{
	return (u64)epoch << MID_CREDITS_EPOCH | slow;
}

/*
 * Moves what was granted from the word to @limit.  Without a look at the word first: its cache
 * line, which a receiver has written, would come twice, to be read and to be written.
 */
static void mid_ids_pull(struct mid_window *w)
{
	u64 empty = mid_credits_word(w->epoch, w->slow ? MID_CREDITS_SLOW : 0);
	u64 credits = atomic64_xchg(&w->credits, empty) & MID_CREDITS_MASK;

	lockdep_assert_held(&w->lock);

	w->limit += min_t(u64, credits, MID_WINDOW_RESERVED - w->limit);
}

/* At least @min new ids: how many, at most @max, or 0 */
static unsigned int mid_ids_find_new(struct mid_window *w, unsigned int min, unsigned int max,
				     u64 *first)
{
	u64 n = min_t(u64, max, w->limit - w->next);

	if (w->next + n - w->tail > MID_IDS_SPREAD) {
		w->tail = round_down(mid_ids_lowest_unsent(w), BITS_PER_LONG);
		n = min_t(u64, n, MID_IDS_SPREAD - (w->next - w->tail));
	}
	*first = w->next;
	return n < min ? 0 : n;
}

/* Whether any id is available, or may be: also what was granted and not moved to @limit */
static bool mid_ids_any(const struct mid_window *w)
{
	return w->limit != w->next || w->returned ||
	       atomic64_read(&w->credits) & MID_CREDITS_MASK;
}

/* How many ids a reserve may have */
static u64 mid_ids_available(const struct mid_window *w, bool urgent)
{
	u64 n = w->limit - w->next + w->returned;

	return urgent ? n : n - min_t(u64, n, w->aside);
}

/* The lowest available run of at least @min ids: its length, at most @max, or 0 */
static noinline unsigned int mid_ids_search(struct mid_window *w, unsigned int min,
					    unsigned int max, bool urgent, u64 *first)
{
	unsigned int n;

	max = min_t(u64, max, mid_ids_available(w, urgent));
	if (max < min)
		return 0;
	n = w->returned < min ? 0 : mid_ids_find_returned(w, min, max, first);
	return n ?: mid_ids_find_new(w, min, max, first);
}

/*
 * The same.  Mostly there are enough new ids and no returned ones.  Then the result does not
 * depend on how many, and the CPU need not wait for the credits to know the id.
 */
static __always_inline unsigned int mid_ids_find(struct mid_window *w, unsigned int min,
						 unsigned int max, bool urgent, u64 *first)
{
	if (w->limit - w->next < max + w->aside)
		mid_ids_pull(w);
	if (unlikely(w->returned || w->limit - w->next < max + w->aside ||
		     w->next + max - w->tail > MID_IDS_SPREAD))
		return mid_ids_search(w, min, max, urgent, first);
	*first = w->next;
	return max;
}

/* Takes @n available ids, as they were found: they are used. */
static void mid_ids_take(struct mid_window *w, u64 first, unsigned int n)
{
	if (first == w->next) {
		w->next += n;
	} else {
		mid_ids_mark(w, first, n, false, false);
		w->returned -= n;
	}
}

/* The same: they are in a span, which has room for one request. */
static void mid_ids_take_span(struct mid_window *w, u64 first, unsigned int n,
			      struct mid_span *span)
{
	mid_ids_take(w, first, n);
	mid_ids_mark(w, first, n, true, false);
	mid_ring_words(w, first)->back |= BIT_MASK(first);
	w->spans += n;
	w->rooms++;
	span->first = first;
	span->n = n;
	span->epoch = w->epoch;
	trace_midwindow_reserve(w, w->epoch, first, n);
}

/*
 * For how many requests spans keep room with these @n ids: one if a first id is among them.
 * Returns -EINVAL if not all of them are in spans.
 */
static int mid_ids_rooms(const struct mid_window *w, u64 first, unsigned int n)
{
	const struct mid_ring_words *words;
	unsigned long mask;
	unsigned int part;
	int rooms = 0;

	if (first < w->tail || first >= w->next || n > w->next - first)
		return -EINVAL;
	for (; n; first += part, n -= part) {
		mask = mid_ring_mask(first, n, &part);
		words = mid_ring_words(w, first);
		if (mask & ~words->out)
			return -EINVAL;
		rooms += hweight_long(mask & words->back);
	}
	return rooms;
}

/* @n ids leave their span, with the @rooms that it kept, and are used. */
static void mid_ids_leave_span(struct mid_window *w, u64 first, unsigned int n, int rooms)
{
	w->spans -= n;
	w->rooms -= rooms;
	mid_ids_mark(w, first, n, false, false);
}

/* Makes @n used ids available again.  Returns false if they are too old for the rings. */
static bool mid_ids_return(struct mid_window *w, u64 first, unsigned int n)
{
	u64 tail = min_t(u64, w->tail, round_down(first, BITS_PER_LONG));

	if (w->next - tail > MID_IDS_SPREAD)
		return false;
	w->tail = tail;
	mid_ids_mark(w, first, n, false, true);
	w->returned += n;

	n = mid_ids_run_below_next(w);
	w->next -= n;
	w->returned -= n;
	mid_ids_mark(w, w->next, n, false, false);
	return true;
}

#endif /* _MIDWINDOW_IDS_H */

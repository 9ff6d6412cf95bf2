/* SPDX-License-Identifier: GPL-2.0 */
/* name, maximum, operations that prepare the atlas, operations of each thread: see atlas.c */

#if MID_BITS == 3

	/* All generation bits of the last slot are set next: its MID would be the server's own. */
	{ "claim, associate of the reserved MID", 4, "a0 a1 a2 a3", { "d3 a3" } },

	/*
	 * The table grows to its full size: all bits of a MID are the slot's number.
	 *
	 *	T1: associate (older table)	T2: associate, then claim of MID 1
	 *
	 *	is about to take slot 0
	 *					grows; slot 1 is blocked, as the older
	 *					table has MID 1
	 *					older slot 0: LIVE -> FREE
	 *	slot 0: generation + 1, BUSY
	 *	the table is older: gives back
	 *	parks slot 0, unblocks the MID
	 *	of the new generation
	 *					slot 0 is PARKED already
	 *
	 * Slot 1 stayed blocked: "a lost slot: 6 MIDs of 7 are to be had".
	 */
	{ "grow, stale associate, claim", 1, "a0 x7", { "a1", "a2 a3 a4 a5 a6 d0" } },
	/* The older table has MID 1 ABANDONED: it is not LIVE, and must not be handed out. */
	{ "grow, associate of a MID in quarantine", 1, "a0 x7 q0", { "a1 a2" } },
	/* The oldest of three tables has MID 1. */
	{ "grow twice, associate of a MID in use", 1, "a0 x2 a1 x7 a2", { "a3 a4" } },

	/*
	 * Trace events.  A slot that was freed before its event is associated, and traced,
	 * by another thread first:
	 *
	 *	T1: dissociate			T2: associate
	 *
	 *	word: LIVE -> FREE
	 *					word: FREE -> BUSY, the same MID
	 *					trace associate
	 *	trace dissociate
	 *
	 * Shown by an associate of a MID that is still in use by the trace.
	 */
	{ "trace: claim, associate of the same MID", 7, "l a0 a1 a2 a3 a4 a5 a6", { "d0", "a7" } },
	{ "trace: late reply, associate of the same MID", 7, "l a0 a1 a2 a3 a4 a5 a6 q0",
	  { "d0", "a7" } },
	{ "trace: expiry, associate of the same MID", 7, "l a0 a1 a2 a3 a4 a5 a6 q0", { "a7" } },

#else

	/* Claims: one caller gets the context. */
	{ "claim, claim", 1, "a0", { "d0", "d0", "m0" } },
	{ "claim, claim by context, abandon", 4, "a0", { "d0", "i0", "q0" } },
	{ "claim, reassociate, reassociate", 1, "a0", { "d0", "r01", "r02" } },
	{ "claim by context, reassociate, map", 1, "a0", { "i0", "r01", "m0 m0" } },
	{ "claim_all, associate, reassociate", 2, "a0", { "c", "a1", "r02" } },
	{ "claim_all, claim, associate", 2, "a0 a1", { "c", "d0 d1", "a2" } },
	{ "claim, associate, map of the slot's next use", 1, "a0", { "d0 a1", "m0 m0", "m1" } },
	{ "claim, associate, claim of the slot's next use", 1, "a0", { "d0 a1", "d0 d1", "d1" } },
	{ "get, reassociate, claim", 1, "a0", { "g0", "r01", "d0" } },
	{ "get, last put, next use", 1, "a0", { "d0 a1", "g0", "g1 d1" } },

	/* Sweeps.  want must be asked about the very request that is taken. */
	{ "claim_if, claim, associate of the next use", 1, "a0", { "C2", "d0 a1" } },
	{ "claim_if, reassociate, touch", 1, "a0 j", { "C2", "r01", "o0" } },
	{ "claim_if, claim by context", 2, "a0 a1", { "C0", "i1", "i0" } },
	/* All MIDs are in use, so the second one that is taken is free for the new request. */
	{ "sweep, associate in the sweep", 3, "a0 a1 a2", { "K", "d2" } },
	{ "sweep, associate in the sweep, another sweep", 2, "a0 a1", { "K d7", "a2 C7" } },
	{ "sweep, wait", 2, "a0 a1", { "K", "w2" } },

	/* A touch changes the word under everybody. */
	{ "touch, claim, map", 1, "a0 j", { "o0", "d0", "m0" } },
	{ "touch, claim by context, abandon", 4, "a0 j", { "o0", "i0", "q0" } },
	/* An abandon gave up where a touch came between: nobody owned the request then. */
	{ "touch, abandon", 4, "a0 j", { "o0", "q0" } },
	{ "touch, reassociate, claim", 1, "a0 j", { "o0", "r01", "d0" } },
	{ "grown, touch in the older table", 1, "a0 j x2 a1", { "o0", "d0" } },

	/* A stray never takes a request. */
	{ "stray, abandon, associate", 4, "a0 a1 a2 a3", { "q0 y0", "y0", "a4" } },
	{ "stray, expiry, associate", 4, "a0 a1 a2 a3 q0", { "y0", "a4" } },
	{ "stray, claim, associate of the next use", 1, "a0", { "d0 a1", "y0" } },

	/* An associate finds a free slot. */
	{ "associate, associate of one MID", 1, "", { "a0 d0", "a1 d1" } },
	{ "associate, while one is freed and another taken", 2, "a0", { "d0 a1", "a2" } },
	{ "the same, and one goes", 3, "a0 a1", { "d0 a2", "a3", "d1" } },
	{ "associate, while the one free slot moves", 2, "a0",
	  { "d0 a1 d1 a0 d0 a1 d1 a0 d0 a1 d1 a0 d0 a1 d1 a0 d0 a1 d1 a0 d0 a1 d1 a0 d0 a1",
	    "a2" } },
	{ "associate, while a full line gets room", 5, "a0 a1 a2 a3 a4 a5", { "d0", "a6" } },
	{ "associate, associate in a full line", 4, "a0 a1 a2 a3", { "d0", "a4", "d1 a5" } },
	{ "associate, associate in two lines", 5, "a0 a1 a2 a3 a4", { "d0", "a5", "d4" } },

	/* Waiters are served. */
	{ "wait, claim", 1, "a0", { "w1 d1", "d0" } },
	{ "wait, wait, claim", 1, "a0", { "d0 w1 d1", "w2 d2" } },
	{ "wait, claim, associate", 1, "a0", { "w1", "d0", "a2 d2" } },
	{ "wait, claim, claim", 2, "a0 a1", { "w2", "d0 d1" } },
	{ "wait that gives up, wait, claim", 1, "a0", { "v1 d1", "d0 w2" } },
	{ "wait that gives up, claim, claim", 2, "a0 a1", { "v2", "d0", "d1 a3" } },
	{ "wait, set_max", 1, "a0", { "w1", "x2" } },
	{ "wait that gives up, wait, set_max", 1, "a0", { "v1", "w2", "x3" } },
	{ "wait, set_max, claim", 1, "a0", { "w1", "x2", "d0" } },
	{ "wait, set_max, claim, wait", 1, "a0", { "w1", "x2 d0 w2" } },
	{ "wait, abandon, late reply", 4, "a0 a1 a2 a3", { "w4", "q0 d0" } },
	{ "wait, abandon, expiry", 4, "a0 a1 a2 a3", { "w4", "q0" } },
	/* T2 holds the only slot that T3 looks for; it must say so when another gets free. */
	{ "associate, wait, claim, claim", 2, "a0 a1", { "d0 d1", "a2", "w3" } },
	/* set_max serves the queue before T3 has retired the slot that it freed. */
	{ "over the limit, wait that gives up, set_max, claim", 2, "a0 a1 x1",
	  { "v2", "x1", "d0" } },
	{ "over the limit, wait, set_max", 2, "a0 a1 x1 d0", { "w2", "x2" } },
	{ "over the limit, wait that gives up, claim", 2, "a0 a1 x1", { "v2", "d0" } },
	{ "wait, drain, claim", 1, "a0", { "w1 d1", "n", "d0" } },
	{ "wait that gives up, drain that gives up", 1, "a0", { "v1 d1", "t", "d0" } },

	/* The maximum is kept. */
	{ "set_max down, claim, claim", 2, "a0 a1", { "x1", "d0 a2", "d1" } },
	{ "set_max down and up, associate", 2, "", { "x1 x2", "a0 a1" } },
	{ "set_max down and up, claim", 2, "a0", { "x1 x2", "d0 a1" } },
	{ "shrunk, claim, associate", 2, "a0 a1 x1", { "d0", "a2" } },
	{ "set_max down, abandon, claim", 4, "a0 a1", { "x3", "q0", "d1" } },
	{ "drain, associate", 2, "", { "n", "a0 d0 a1 d1" } },
	{ "drain, claim, reassociate", 1, "a0", { "n", "d0 d1", "r01 d1" } },
	{ "drain that gives up, associate, claim", 1, "a0", { "t a1", "d0 a2" } },
	{ "drain, drain, claim", 1, "a0", { "n", "t", "d0" } },
	{ "drain, abandon, late reply", 4, "a0", { "n", "q0 d0" } },

	/* Some of the maximum is aside. */
	{ "urgent, claim, associate", 2, "k1 a0", { "p1 d1", "d0 a2" } },
	{ "urgent, urgent, claim", 2, "k1 a0", { "p1", "p2", "d0" } },
	{ "urgent, wait, claim", 2, "k1 a0", { "p1 d1", "w2", "d0" } },
	{ "urgent ends, wait", 2, "k1 a0 p1", { "d1", "w2", "d0" } },
	{ "urgent ends, associate", 2, "k1 a0 p1", { "d1", "p3" } },
	{ "urgent, associate, nothing aside", 1, "a0", { "p1", "d0", "a2" } },
	{ "urgent, wait, nothing aside", 1, "a0", { "p1 d1", "d0", "w2" } },
	{ "set_aside, associate, claim", 2, "a0", { "k1", "a1 d1", "d0" } },
	{ "set_aside and back, wait", 2, "k2", { "k0", "w1" } },
	{ "set_aside and back, urgent", 2, "k2 p0", { "k0 d0", "p1", "a2" } },
	{ "urgent, set_max down", 2, "k1 a0", { "p1", "x1 d0" } },
	{ "urgent, set_max up", 2, "k1 a0 p1", { "x3", "d1", "a2" } },
	{ "urgent, abandon, expiry", 4, "k1 a0 a1 a2 p3", { "q3", "p4" } },
	{ "urgent, drain", 2, "k1 a0", { "p1 d1", "t", "d0" } },
	{ "urgent that grows the table, claim", 1, "a0 x2 k1", { "p1 d1", "d0 a2" } },
	{ "urgent that grows the table, urgent", 1, "a0 x3 k2", { "p1", "p2" } },

	/* The table grows. */
	{ "grow, claim", 1, "a0 x2", { "a1 d1", "d0 a2" } },
	{ "grow, grow", 1, "a0 x2", { "a1", "a2 d2" } },
	{ "grow, map and claim in the older table", 1, "a0 x2", { "a1", "m0 d0", "d0 m1" } },
	{ "grow, reassociate, claim_all", 1, "a0 x2", { "a1", "r02", "c" } },
	{ "grow, set_max, associate", 1, "a0", { "a1", "x3", "a2 d0" } },
	{ "grow twice, claim, map", 1, "a0 x2 a1 x3", { "a2", "d0", "d1 m0" } },
	{ "grow, set_max down", 1, "a0 x3", { "a1 d1", "x1" } },
	{ "grow, drain", 1, "a0 x2", { "d0 a1 d1", "n" } },
	{ "grow without memory, claim", 1, "a0 x2", { "A1 d1", "d0 A2" } },
	{ "grow, wait", 1, "a0 x2", { "a1 d0", "w2" } },
	{ "grown, associate, claim in the older table", 1, "a0 x2 a1", { "a2", "d0" } },
	{ "grown, wait, claim in the older table", 1, "a0 x2 a1", { "w2", "d0", "d1" } },
	{ "grown, abandon, expiry in the older table", 4, "a0 a1 a2 a3 x5 a4", { "q0", "w5" } },
	{ "grown, associate of a MID in use", 1, "a1 d1 a0 x2 z0", { "a2 d2", "d0 a3" } },
	{ "grown and full, wait, claim in the older table", 1, "a0 x2 a1 x3 a2",
	  { "w3 d3", "d0" } },
	{ "grown, wait for a MID in use", 1, "a1 d1 a0 x2 z01 a4", { "w2", "d4", "d0" } },

	/* Destroy */
	{ "destroy, unload, map", 1, "a0", { "e u", "m0", "m0" } },
	{ "destroy, unload, map in the older table", 1, "a1 x2 a0", { "e u", "m1", "d1" } },
	{ "destroy, wait, wait", 1, "a0", { "e", "w1", "v2" } },
	{ "destroy, wait, claim", 1, "a0", { "e", "w1 d1", "d0" } },
	/*
	 *	T1: destroy			T2: associate_wait
	 *
	 *					takes a slot, reads mode 0
	 *	shuts, sees no waiter
	 *	claims all but the BUSY slot
	 *					publishes, returns 0
	 *
	 * Nobody claimed T2's context: "contexts 0x2 were not handed out".
	 */
	{ "destroy, wait that has found a free MID", 2, "a0", { "e u", "w1 d1" } },
	{ "destroy, unload, wait", 1, "a0", { "e u", "w1" } },
	{ "destroy, destructor that abandons", 8, "a0 a1 a2", { "E u", "m1" } },
	{ "destroy, expiry", 4, "a0 a1", { "e u", "q0 q1", "m1" } },
	{ "destroy, quarantine in the older table", 4, "a0 a1 a2 a3 x5 a4 q0", { "e u" } },

	/* The counts */
	{ "stats, associate, claim", 1, "a0", { "s", "a1 d1", "d0" } },

	/* debugfs */
	/* A pointer must not pass for the end of a quarantine. */
	{ "debugfs: abandon, late reply, associate", 4, "a0 a1 a2 a3", { "q0 d0 a4", "f" } },
	{ "debugfs: claim, associate, reassociate", 1, "a0", { "d0 a1", "f", "r02" } },

#endif

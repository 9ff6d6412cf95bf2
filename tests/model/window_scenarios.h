/* SPDX-License-Identifier: GPL-2.0 */
/* name, slots, operations that prepare the window, operations of each thread: see window.c */

	/* Claims: one caller gets the request. */
	{ "window: claim, claim", 3, "b0", { "d0", "d0", "m0" } },
	{ "window: claim, claim by context, abandon", 3, "b0", { "d0", "i0", "q0" } },
	{ "window: claim, reassociate, reassociate", 3, "b0", { "d0", "x0.1", "x0.2" } },
	{ "window: claim by context, reassociate, map", 3, "b0", { "i0", "x0.1", "m0" } },
	{ "window: claim, unsend, begin", 3, "b0", { "d0", "n0", "b1" } },
	{ "window: unsend, unsend, begin", 3, "o1 b0 b1", { "n0", "n1", "b2" } },
	{ "window: unsend, abandon, begin", 3, "b0", { "n0", "q0", "b1" } },
	{ "window: get, last put, next request", 3, "o1 b0", { "d0 b1", "g0", "g1" } },
	{ "window: get, reassociate, claim", 3, "b0", { "g0", "x0.1", "d0" } },

	/* A map sees the request of its id, also when the entry is used again. */
	{ "window: claim, begin, map behind a free entry", 3, "o6 b0 b1.3 b2",
	  { "d0 b3", "m0", "m2" } },
	{ "window: claim, begin, map of the entry's next request", 3, "o5 b0",
	  { "d0 b1 d1 b2 d2 b3 d3 b4", "m0" } },
	{ "window: unsend, begin in the same entry", 3, "o6 b0",
	  { "n0", "b1.3 d1 b2.2 m2 d2" } },
	{ "window: claim, begin, claim of the entry's next request", 3, "o4 b0 b1 b2.2",
	  { "d0 b3", "d0", "d3" } },
	{ "window: unsend, begin of the same id, map", 3, "b0", { "n0 b1", "m0", "m1 d1" } },

	/* Ids: each once, the lowest first, in order. */
	{ "window: begin, begin", 3, "o1", { "b0 d0", "b1 d1" } },
	{ "window: begin, begin, grant", 3, "", { "b0", "b1", "o1" } },
	{ "window: reserve, give_back, begin", 3, "o3", { "r0.2 y0", "b1", "b2.2" } },
	{ "window: reserve, associate, begin", 3, "o2", { "r0.2 a0.1 y0", "b2 d1" } },
	{ "window: give_back, give_back, reserve", 3, "o3 r0.2 r1.2",
	  { "y0", "y1", "r2.1.4" } },
	{ "window: unsend below a request, reserve", 3, "o2 b0.2 b1", { "n0", "r0.1.2", "d1" } },
	{ "window: begin, returned and granted ids", 12, "o4 b0 b1 b2 b3 n0 n2 o2",
	  { "b4.2", "s" } },
	{ "window: unsend, begin of more", 3, "o2 b0 b1", { "n1 b2.2", "d0" } },
	{ "window: unsend, begin of the lowest", 3, "o3 b0 b1", { "n0 b2", "d1" } },
	{ "window: set_aside, begin, urgent reserve", 3, "o1", { "k1", "b0 b1", "u0" } },

	/* Waiters are served. */
	{ "window: wait, claim", 3, "b0", { "w0", "o1 d0" } },
	{ "window: wait that gives up, grant", 3, "b0", { "v0 a0.1", "o1" } },
	{ "window: wait, give_back", 3, "o1 b0 r1", { "w0 a0.1", "y1" } },
	{ "window: wait, unsend", 3, "b0", { "w0 a0.1 d1", "n0" } },
	{ "window: wait, wait, grant", 3, "b0", { "w0 a0.1", "w1 a1.2", "o1 o1" } },
	{ "window: wait, wait that gives up, grant", 3, "b0", { "v0.2", "v1", "o2" } },
	{ "window: wait for many that gives up, wait for one, grant", 3, "b0",
	  { "v0.2", "v1", "o1" } },
	{ "window: wait, begin, grant", 3, "b0", { "w0", "b1", "o1 o1" } },
	{ "window: wait, urgent wait, grant", 3, "b0", { "w0", "U1", "o2" } },
	{ "window: wait, set_aside", 3, "b0 k1 o1", { "w0", "k0" } },
	{ "window: wait, urgent reserve, set_aside", 3, "b0 k1 o1", { "v0", "u1", "o1" } },
	{ "window: wait, wait, claim, grant", 3, "o1 b0 b1", { "w0 a0.2", "v1", "o1 d0 o1" } },
	{ "window: wait that gives up, wait that gives up, claim", 3, "b0",
	  { "v0.2", "v1 y1", "o1 d0" } },
	{ "window: urgent wait that gives up, wait, claim", 3, "b0", { "V0.2", "v1", "o1 d0" } },
	/* New ids are too far above the lowest unsent one, until it is sent. */
	{ "window: wait, associate of the lowest id", 6, "o200 r0 b0.63 b1.63",
	  { "w1.2", "a0.2" } },
	{ "window: wait, give_back of the lowest id, begin", 6, "o200 r0 b0.63 b1.63",
	  { "v1.2", "y0", "b3" } },
	/* Returned ids that are too few for the first in line go to the second. */
	{ "window: wait for many, wait for one, unsend", 3, "o2 b0 b1 b2", { "v0.4", "w1", "n1" } },
	{ "window: wait for many, begin of one, unsend", 3, "o2 b0 b1 b2", { "v0.4", "b3", "n1" } },
	/*
	 *	T1: reserve, waits		T2: receiver
	 *
	 *	no credits in the word
	 *					grant: one credit in the word
	 *					dissociate: slot is FREE, @freed += 2
	 *	nothing is in use: -EDEADLK
	 *
	 * The credit had arrived before the request ended.
	 */
	{ "window: wait, grant, the last reply", 3, "b0", { "w0", "o1 d0" } },
	/* The other way round the credit may come too late. */
	{ "window: wait, the last reply, grant", 3, "b0", { "v0", "d0 o1" } },
	{ "window: wait, wait, grant, the last reply", 3, "b0", { "w0 y0", "w1 y1", "o1 d0" } },
	{ "window: reserve, grant, the last reply", 3, "b0", { "r0", "o1 d0" } },
	/* A newcomer that needs as few ids as the waiter does not get the returned one. */
	{ "window: wait for one, begin of one, unsend", 3, "o1 b0 b1", { "v0", "b2", "n0" } },
	{ "window: wait for room, begin of one, claim", 3, "o5 b0 r0 b1 y0 b2.2",
	  { "v1", "b3", "d0" } },

	/* Room */
	{ "window: begin, associate with the span's room", 3, "o4 b0 b1 r0", { "B2", "a0.3" } },
	{ "window: wait for room, claim", 3, "o3 b0 b1 b2", { "w0 a0.3", "d0" } },
	{ "window: wait for room, give_back", 3, "o3 b0 b1 r0", { "w1", "y0" } },
	{ "window: wait for room, abandon, late reply", 3, "o3 b0 b1 b2", { "w0", "q0 d0" } },
	{ "window: wait for room, abandon, expiry", 3, "o3 b0 b1 b2", { "w0", "q0" } },
	{ "window: wait for room, abandon, abandon", 3, "o3 b0 b1 b2", { "w0", "q0 q1" } },
	{ "window: wait for room, claim, begin", 3, "o3 b0 b1 b2", { "v0", "d0", "b3" } },
	{ "window: wait for room, grow, claim", 3, "o5 b0 b1 r1.2 a1.2",
	  { "v0", "a1.3", "d0" } },
	{ "window: wait for room that gives up, unsend, begin", 3, "o3 b0 b1 b2",
	  { "v0", "n2", "b3" } },
	/* Nobody can grant. */
	{ "window: wait, the last reply without credits", 3, "b0", { "w0", "d0" } },
	{ "window: wait for many, wait for one, the last reply", 3, "o1 b0",
	  { "v0.3", "v1", "d0" } },
	{ "window: wait, give_back of too few", 3, "o1 r0.2", { "w1.3", "y0" } },
	{ "window: wait, abandon, expiry", 3, "b0", { "w0", "q0" } },

	/* Abandoned requests */
	{ "window: late reply, expiry", 3, "b0 q0", { "d0", "l0" } },
	{ "window: abandon, abandon, late reply", 3, "o1 b0 b1", { "q0", "q1", "l0" } },
	{ "window: abandon, abandon, stats", 3, "o1 b0 b1", { "q0 q1", "s" } },
	{ "window: abandon, stray, claim", 3, "b0", { "q0", "l0", "d0" } },
	{ "window: note_async, unsend, begin", 3, "b0", { "j0", "n0", "b1" } },
	{ "window: note_async, abandon, async_id", 3, "b0", { "j0", "q0", "J0" } },
	{ "window: note_async, reassociate, claim", 3, "b0", { "j0", "x0.1", "d0" } },

	/* Sweeps */
	{ "window: claim_if, claim, begin", 3, "o3 b0 b1", { "c", "d0", "b2" } },
	{ "window: claim_if, reassociate, claim", 3, "b0", { "c", "x0.1", "d0" } },
	{ "window: claim_if, claim, begin in the same entry", 3, "o3 b1", { "C", "d1 b2" } },
	{ "window: claim_if, claim_if", 3, "o2 b0 b1", { "c", "C" } },

	{ "window: claim_if, unsend, begin", 3, "o1 b0 b1", { "c", "n1", "b2" } },
	{ "window: claim_if, abandon, late reply", 3, "o1 b0 b1", { "c", "q0", "l0" } },

	/* Growth */
	{ "window: grow, grow", 3, "o4 b0 b1 b2", { "b3", "b4" } },
	{ "window: grow, claim", 3, "o4 b0 b1 b2", { "b3 d3", "d0" } },
	{ "window: grow, grow, claim", 3, "o5 b0 b1 b2", { "b3", "b4", "d0" } },
	{ "window: grow, reset", 3, "o4 b0 b1 b2", { "b3", "R" } },
	{ "window: grow, claim_if", 3, "o4 b0 b1 b2", { "b3 d3", "c" } },
	{ "window: grow without memory, claim", 3, "o4 b0 b1 b2", { "B3", "d0 B4" } },
	{ "window: grow, wait for room", 3, "o4 b0 b1 b2", { "b3", "v0" } },
	{ "window: grow, wait for room, associate", 3, "o5 b0 b1 r1.2 a1.2", { "w0", "a1.3" } },
	{ "window: grown, claim, map in the older table", 3, "o5 b0 b1 b2 b3",
	  { "d0", "m1 m3", "b4" } },
	{ "window: grow, associate without memory", 3, "o5 b0 b1 r1.2 a1.2", { "A1.3", "d0" } },

	/* A new connection */
	{ "window: reset, claim, begin of the same id", 3, "b0", { "R S b1", "d0", "d1" } },
	{ "window: reset, unsend in the new connection", 3, "o2 b0 b1 n0",
	  { "R S o1 b2 b3 n3 b4", "d1" } },
	{ "window: reset, reset, resume", 3, "b0", { "R S b1", "R", "m0" } },
	{ "window: reset, claim, in order", 6, "o6 b0 b1 b2 b3 b4 b5", { "R", "d1" } },
	{ "window: reset, urgent reserve, associate", 3, "b0", { "R", "u0 a0.1", "d0" } },
	{ "window: reset, map, claim", 3, "b0", { "R", "m0 m0", "d0" } },
	{ "window: reset, grant", 3, "b0", { "R S", "o1", "b1" } },
	{ "window: reset, wait that gives up, grant", 3, "b0", { "R", "v0", "o1" } },
	{ "window: reset, begin", 3, "o1", { "R", "b0", "m0" } },
	{ "window: reset, wait, urgent reserve", 3, "b0", { "R u0", "v1" } },
	{ "window: reset, resume, wait", 3, "b0", { "R S", "w1" } },
	{ "window: reset, wait, grant", 3, "b0", { "R u0 S y0", "v1", "o1" } },
	{ "window: reset, wait, wait", 3, "b0", { "R S", "v1", "v2" } },
	{ "window: reset, urgent wait", 3, "b0", { "R", "U0" } },
	{ "window: reset, give_back", 3, "o1 r0", { "R S b0", "y0" } },
	{ "window: reset, associate", 3, "o1 r0", { "R", "a0.1", "m1" } },
	{ "window: reset, abandon, late reply", 3, "b0", { "R", "q0 d0" } },
	{ "window: reset, unsend", 3, "b0", { "R S b1", "n0" } },
	{ "window: reset, note_async", 3, "b0", { "R", "j0 J0" } },
	{ "window: reset, claim_if", 3, "o1 b0 b1", { "R", "c" } },
	{ "window: reset, stray", 3, "b0 q0", { "R", "l0" } },

	/* The end */
	{ "window: drain, claim, begin", 3, "o1 b0", { "t", "d0 d1", "b1 d1" } },
	{ "window: drain, abandon, late reply", 3, "b0", { "t", "q0 d0" } },
	{ "window: drain, abandon, expiry", 3, "b0", { "t", "q0" } },
	{ "window: drain, drain, claim", 3, "b0", { "t", "T", "d0" } },
	{ "window: drain, unsend", 3, "b0", { "t", "n0" } },
	{ "window: drain, claim_if", 3, "o1 b0 b1", { "t", "c" } },
	{ "window: shut, wait, associate", 3, "o1 r0 b0", { "h", "w1", "a0.1" } },
	{ "window: shut, reset, wait", 3, "b0", { "h", "R S", "w0" } },
	{ "window: destroy, unload, wait", 3, "b0", { "D Z", "w0" } },
	{ "window: destroy, wait, wait", 3, "b0", { "D", "w0", "v1" } },
	{ "window: destroy, unload, map", 3, "b0", { "D Z", "m0" } },
	{ "window: destroy, expiry, map", 3, "o1 b0 b1", { "D Z", "q0 q1", "m1" } },
	{ "window: destroy, unload, claim", 3, "b0", { "D Z", "d0" } },
	/* All may be over before the call is. */
	{ "window: begin, claim, destroy", 3, "", { "b0", "d0 D Z" } },
	{ "window: begin, claim, destroy, wait", 3, "o130 b0 b1 b2.126 n1",
	  { "b3", "d3 D Z", "w0.2" } },
	{ "window: claim, drain, destroy", 3, "b0", { "d0", "t D Z" } },
	{ "window: unsend, drain, destroy", 3, "b0", { "n0", "t D Z" } },
	{ "window: abandon, expiry, drain, destroy", 3, "b0", { "q0", "t D Z" } },
	{ "window: claim_if, drain, destroy", 3, "b0", { "c", "t D Z" } },
	{ "window: associate, claim, destroy", 3, "r0", { "a0.1", "d1 D Z" } },
	{ "window: destroy, map in the older table", 3, "o4 b0 b1 b2 b3", { "D Z", "m0" } },

	/* The counts */
	{ "window: stats, begin, claim", 3, "o1 b0", { "s", "b1 d1", "d0" } },

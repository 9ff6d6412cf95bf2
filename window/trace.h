/* SPDX-License-Identifier: GPL-2.0 */
/*
 * trace - the events in the life of a window and its requests
 *
 *	create   grant ...   reset --> resume                  drain   destroy
 *	    reserve --> associate --> note_async --> dissociate
 *	        \--> give_back   \             \---> abandon --> late
 *	                          \--> unsend
 *
 * Besides these: stale and unknown (a reply for which there is no request), wait and wait_end
 * (a task waits for ids), stall (there are too few ids; once, until there are enough and
 * nobody waits).
 *
 * The events of one id are emitted in the order in which they happened, if the trace has one
 * clock for all CPUs ("global" or "counter").  An associate is emitted before other callers
 * can find the request; a dissociate before the request is counted as ended, so before a
 * drain that waited for it.
 *
 * The name is that of the window's folder in debugfs.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM midwindow

#if !defined(_MIDWINDOW_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _MIDWINDOW_TRACE_H

#include <linux/jiffies.h>
#include <linux/string.h>
#include <linux/tracepoint.h>

/* Not a __string(): what __assign_str() is given has changed in 6.10. */
#define NAME_FIELD	__dynamic_array(char, name, strlen(w->folder.name) + 1)
#define NAME_ASSIGN	memcpy(__get_str(name), w->folder.name, \
			       __get_dynamic_array_len(name))

/* The window */

DECLARE_EVENT_CLASS(midwindow_window,
		    TP_PROTO(const struct mid_window *w, u32 epoch),
		    TP_ARGS(w, epoch),
		    TP_STRUCT__entry(NAME_FIELD
				     __field(u32, epoch)),
		    TP_fast_assign(NAME_ASSIGN;
				   __entry->epoch = epoch;),
		    TP_printk("%s epoch=%u", __get_str(name), __entry->epoch)
);

DEFINE_EVENT(midwindow_window, midwindow_create,
	     TP_PROTO(const struct mid_window *w, u32 epoch),
	     TP_ARGS(w, epoch)
);

DEFINE_EVENT(midwindow_window, midwindow_reset,
	     TP_PROTO(const struct mid_window *w, u32 epoch),
	     TP_ARGS(w, epoch)
);

DEFINE_EVENT(midwindow_window, midwindow_resume,
	     TP_PROTO(const struct mid_window *w, u32 epoch),
	     TP_ARGS(w, epoch)
);

DEFINE_EVENT(midwindow_window, midwindow_drain,
	     TP_PROTO(const struct mid_window *w, u32 epoch),
	     TP_ARGS(w, epoch)
);

DEFINE_EVENT(midwindow_window, midwindow_destroy,
	     TP_PROTO(const struct mid_window *w, u32 epoch),
	     TP_ARGS(w, epoch)
);

/* Credits and ids */

TRACE_EVENT(midwindow_grant,
	    TP_PROTO(const struct mid_window *w, u32 epoch, unsigned int credits),
	    TP_ARGS(w, epoch, credits),
	    TP_STRUCT__entry(NAME_FIELD
			     __field(u32, epoch)
			     __field(unsigned int, credits)),
	    TP_fast_assign(NAME_ASSIGN;
			   __entry->epoch = epoch;
			   __entry->credits = credits;),
	    TP_printk("%s epoch=%u credits=%u", __get_str(name), __entry->epoch,
		      __entry->credits)
);

/* The arguments are the members at the moment, under the lock. */
TRACE_EVENT(midwindow_stall,
	    TP_PROTO(const struct mid_window *w, u64 unsent, bool hole),
	    TP_ARGS(w, unsent, hole),
	    TP_STRUCT__entry(NAME_FIELD
			     __field(u32, epoch)
			     __field(u64, next)
			     __field(u64, limit)
			     __field(u64, unsent)
			     __field(bool, hole)),
	    TP_fast_assign(NAME_ASSIGN;
			   __entry->epoch = w->epoch;
			   __entry->next = w->next;
			   __entry->limit = w->limit;
			   __entry->unsent = unsent;
			   __entry->hole = hole;),
	    TP_printk("%s epoch=%u next=%llu limit=%llu unsent=%llu: %s",
		      __get_str(name), __entry->epoch, __entry->next, __entry->limit,
		      __entry->unsent,
		      __entry->hole ? "an id was not sent" : "no credits")
);

DECLARE_EVENT_CLASS(midwindow_ids,
		    TP_PROTO(const struct mid_window *w, u32 epoch, u64 id, unsigned int n),
		    TP_ARGS(w, epoch, id, n),
		    TP_STRUCT__entry(NAME_FIELD
				     __field(u32, epoch)
				     __field(u64, id)
				     __field(unsigned int, n)),
		    TP_fast_assign(NAME_ASSIGN;
				   __entry->epoch = epoch;
				   __entry->id = id;
				   __entry->n = n;),
		    TP_printk("%s epoch=%u id=%llu n=%u", __get_str(name), __entry->epoch,
			      __entry->id, __entry->n)
);

DEFINE_EVENT(midwindow_ids, midwindow_reserve,
	     TP_PROTO(const struct mid_window *w, u32 epoch, u64 id, unsigned int n),
	     TP_ARGS(w, epoch, id, n)
);

DEFINE_EVENT(midwindow_ids, midwindow_give_back,
	     TP_PROTO(const struct mid_window *w, u32 epoch, u64 id, unsigned int n),
	     TP_ARGS(w, epoch, id, n)
);

TRACE_EVENT(midwindow_wait,
	    TP_PROTO(const struct mid_window *w, unsigned int min, unsigned int max),
	    TP_ARGS(w, min, max),
	    TP_STRUCT__entry(NAME_FIELD
			     __field(unsigned int, min)
			     __field(unsigned int, max)),
	    TP_fast_assign(NAME_ASSIGN;
			   __entry->min = min;
			   __entry->max = max;),
	    TP_printk("%s min=%u max=%u", __get_str(name), __entry->min, __entry->max)
);

TRACE_EVENT(midwindow_wait_end,
	    TP_PROTO(const struct mid_window *w, int err),
	    TP_ARGS(w, err),
	    TP_STRUCT__entry(NAME_FIELD
			     __field(int, err)),
	    TP_fast_assign(NAME_ASSIGN;
			   __entry->err = err;),
	    TP_printk("%s err=%d", __get_str(name), __entry->err)
);

/* A request and its ids */

TRACE_EVENT(midwindow_associate,
	    TP_PROTO(const struct mid_window *w, u32 epoch, u64 id, unsigned int charge,
		     const void *ctx),
	    TP_ARGS(w, epoch, id, charge, ctx),
	    TP_STRUCT__entry(NAME_FIELD
			     __field(u32, epoch)
			     __field(u64, id)
			     __field(unsigned int, charge)
			     __field(const void *, ctx)),
	    TP_fast_assign(NAME_ASSIGN;
			   __entry->epoch = epoch;
			   __entry->id = id;
			   __entry->charge = charge;
			   __entry->ctx = ctx;),
	    TP_printk("%s epoch=%u id=%llu charge=%u ctx=%p", __get_str(name),
		      __entry->epoch, __entry->id, __entry->charge, __entry->ctx)
);

DECLARE_EVENT_CLASS(midwindow_request,
		    TP_PROTO(const struct mid_window *w, u32 epoch, u64 id, const void *ctx,
			     u64 age_ns),
		    TP_ARGS(w, epoch, id, ctx, age_ns),
		    TP_STRUCT__entry(NAME_FIELD
				     __field(u32, epoch)
				     __field(u64, id)
				     __field(const void *, ctx)
				     __field(u64, age_ns)),
		    TP_fast_assign(NAME_ASSIGN;
				   __entry->epoch = epoch;
				   __entry->id = id;
				   __entry->ctx = ctx;
				   __entry->age_ns = age_ns;),
		    TP_printk("%s epoch=%u id=%llu ctx=%p age_ns=%llu", __get_str(name),
			      __entry->epoch, __entry->id, __entry->ctx, __entry->age_ns)
);

DEFINE_EVENT(midwindow_request, midwindow_dissociate,
	     TP_PROTO(const struct mid_window *w, u32 epoch, u64 id, const void *ctx,
		      u64 age_ns),
	     TP_ARGS(w, epoch, id, ctx, age_ns)
);

DEFINE_EVENT(midwindow_request, midwindow_unsend,
	     TP_PROTO(const struct mid_window *w, u32 epoch, u64 id, const void *ctx,
		      u64 age_ns),
	     TP_ARGS(w, epoch, id, ctx, age_ns)
);

TRACE_EVENT(midwindow_abandon,
	    TP_PROTO(const struct mid_window *w, u32 epoch, u64 id, const void *ctx,
		     unsigned long quarantine),
	    TP_ARGS(w, epoch, id, ctx, quarantine),
	    TP_STRUCT__entry(NAME_FIELD
			     __field(u32, epoch)
			     __field(u64, id)
			     __field(const void *, ctx)
			     __field(u32, quarantine_ms)),
	    TP_fast_assign(NAME_ASSIGN;
			   __entry->epoch = epoch;
			   __entry->id = id;
			   __entry->ctx = ctx;
			   __entry->quarantine_ms = jiffies_to_msecs(quarantine);),
	    TP_printk("%s epoch=%u id=%llu ctx=%p quarantine_ms=%u", __get_str(name),
		      __entry->epoch, __entry->id, __entry->ctx, __entry->quarantine_ms)
);

TRACE_EVENT(midwindow_note_async,
	    TP_PROTO(const struct mid_window *w, u32 epoch, u64 id, u64 async_id),
	    TP_ARGS(w, epoch, id, async_id),
	    TP_STRUCT__entry(NAME_FIELD
			     __field(u32, epoch)
			     __field(u64, id)
			     __field(u64, async_id)),
	    TP_fast_assign(NAME_ASSIGN;
			   __entry->epoch = epoch;
			   __entry->id = id;
			   __entry->async_id = async_id;),
	    TP_printk("%s epoch=%u id=%llu async_id=%llu", __get_str(name), __entry->epoch,
		      __entry->id, __entry->async_id)
);

/* A reply for which there is no request */

DECLARE_EVENT_CLASS(midwindow_id,
		    TP_PROTO(const struct mid_window *w, u32 epoch, u64 id),
		    TP_ARGS(w, epoch, id),
		    TP_STRUCT__entry(NAME_FIELD
				     __field(u32, epoch)
				     __field(u64, id)),
		    TP_fast_assign(NAME_ASSIGN;
				   __entry->epoch = epoch;
				   __entry->id = id;),
		    TP_printk("%s epoch=%u id=%llu", __get_str(name), __entry->epoch,
			      __entry->id)
);

DEFINE_EVENT(midwindow_id, midwindow_late,
	     TP_PROTO(const struct mid_window *w, u32 epoch, u64 id),
	     TP_ARGS(w, epoch, id)
);

DEFINE_EVENT(midwindow_id, midwindow_stale,
	     TP_PROTO(const struct mid_window *w, u32 epoch, u64 id),
	     TP_ARGS(w, epoch, id)
);

DEFINE_EVENT(midwindow_id, midwindow_unknown,
	     TP_PROTO(const struct mid_window *w, u32 epoch, u64 id),
	     TP_ARGS(w, epoch, id)
);

#endif /* _MIDWINDOW_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH window
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>

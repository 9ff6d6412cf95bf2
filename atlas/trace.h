/* SPDX-License-Identifier: GPL-2.0 */
/*
 * trace - the events in the life of an atlas and its MIDs
 *
 *	create                                                  destroy
 *	    associate --> reassociate ... --> dissociate
 *	                               \----> abandon --> late or expire
 *
 * Besides these: stale and unknown (a reply that belongs to no request), exhausted,
 * wait and wait_end (no MID is free), drain and drain_end.
 *
 * The events of one MID are emitted in the order in which they happened, if the trace
 * has one clock for all CPUs ("global" or "counter").  An associate is emitted before
 * other callers can find the request; dissociate, late and expire are emitted before the
 * MID is free.
 *
 * The name is that of the atlas' directory in debugfs, and a request is hashed to the
 * same value there.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM midatlas

#if !defined(_MIDATLAS_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _MIDATLAS_TRACE_H

#include <linux/jiffies.h>
#include <linux/string.h>
#include <linux/tracepoint.h>

/* Not a __string(): what __assign_str() is given has changed in 6.10. */
#define NAME_FIELD	__dynamic_array(char, name, strlen(atlas->folder.name) + 1)
#define NAME_ASSIGN	memcpy(__get_str(name), atlas->folder.name, \
			       __get_dynamic_array_len(name))

/* The atlas */

DECLARE_EVENT_CLASS(midatlas_atlas,
		    TP_PROTO(const struct mid_atlas *atlas),
		    TP_ARGS(atlas),
		    TP_STRUCT__entry(NAME_FIELD
				     __field(u32, max)),
		    TP_fast_assign(NAME_ASSIGN;
				   __entry->max = READ_ONCE(atlas->max);),
		    TP_printk("%s max=%u", __get_str(name), __entry->max)
);

DEFINE_EVENT(midatlas_atlas, midatlas_create,
	     TP_PROTO(const struct mid_atlas *atlas),
	     TP_ARGS(atlas)
);

DEFINE_EVENT(midatlas_atlas, midatlas_exhausted,
	     TP_PROTO(const struct mid_atlas *atlas),
	     TP_ARGS(atlas)
);

DEFINE_EVENT(midatlas_atlas, midatlas_drain,
	     TP_PROTO(const struct mid_atlas *atlas),
	     TP_ARGS(atlas)
);

DEFINE_EVENT(midatlas_atlas, midatlas_destroy,
	     TP_PROTO(const struct mid_atlas *atlas),
	     TP_ARGS(atlas)
);

TRACE_EVENT(midatlas_drain_end,
	    TP_PROTO(const struct mid_atlas *atlas, int err),
	    TP_ARGS(atlas, err),
	    TP_STRUCT__entry(NAME_FIELD
			     __field(int, err)),
	    TP_fast_assign(NAME_ASSIGN;
			   __entry->err = err;),
	    TP_printk("%s err=%d", __get_str(name), __entry->err)
);

/* A request that waits for a MID */

TRACE_EVENT(midatlas_wait,
	    TP_PROTO(const struct mid_atlas *atlas, const void *ctx),
	    TP_ARGS(atlas, ctx),
	    TP_STRUCT__entry(NAME_FIELD
			     __field(const void *, ctx)),
	    TP_fast_assign(NAME_ASSIGN;
			   __entry->ctx = ctx;),
	    TP_printk("%s ctx=%p", __get_str(name), __entry->ctx)
);

TRACE_EVENT(midatlas_wait_end,
	    TP_PROTO(const struct mid_atlas *atlas, const void *ctx, int err),
	    TP_ARGS(atlas, ctx, err),
	    TP_STRUCT__entry(NAME_FIELD
			     __field(const void *, ctx)
			     __field(int, err)),
	    TP_fast_assign(NAME_ASSIGN;
			   __entry->ctx = ctx;
			   __entry->err = err;),
	    TP_printk("%s ctx=%p err=%d", __get_str(name), __entry->ctx,
		      __entry->err)
);

/* A MID and its request */

TRACE_EVENT(midatlas_associate,
	    TP_PROTO(const struct mid_atlas *atlas, u16 mid, const void *ctx),
	    TP_ARGS(atlas, mid, ctx),
	    TP_STRUCT__entry(NAME_FIELD
			     __field(u16, mid)
			     __field(const void *, ctx)),
	    TP_fast_assign(NAME_ASSIGN;
			   __entry->mid = mid;
			   __entry->ctx = ctx;),
	    TP_printk("%s mid=0x%04x ctx=%p", __get_str(name), __entry->mid,
		      __entry->ctx)
);

TRACE_EVENT(midatlas_reassociate,
	    TP_PROTO(const struct mid_atlas *atlas, u16 mid, const void *ctx,
		     const void *new_ctx),
	    TP_ARGS(atlas, mid, ctx, new_ctx),
	    TP_STRUCT__entry(NAME_FIELD
			     __field(u16, mid)
			     __field(const void *, ctx)
			     __field(const void *, new_ctx)),
	    TP_fast_assign(NAME_ASSIGN;
			   __entry->mid = mid;
			   __entry->ctx = ctx;
			   __entry->new_ctx = new_ctx;),
	    TP_printk("%s mid=0x%04x ctx=%p new_ctx=%p", __get_str(name),
		      __entry->mid, __entry->ctx, __entry->new_ctx)
);

TRACE_EVENT(midatlas_dissociate,
	    TP_PROTO(const struct mid_atlas *atlas, u16 mid, const void *ctx,
		     u64 age_ns),
	    TP_ARGS(atlas, mid, ctx, age_ns),
	    TP_STRUCT__entry(NAME_FIELD
			     __field(u16, mid)
			     __field(const void *, ctx)
			     __field(u64, age_ns)),
	    TP_fast_assign(NAME_ASSIGN;
			   __entry->mid = mid;
			   __entry->ctx = ctx;
			   __entry->age_ns = age_ns;),
	    TP_printk("%s mid=0x%04x ctx=%p age_ns=%llu", __get_str(name),
		      __entry->mid, __entry->ctx, __entry->age_ns)
);

TRACE_EVENT(midatlas_abandon,
	    TP_PROTO(const struct mid_atlas *atlas, u16 mid, const void *ctx,
		     unsigned long quarantine),
	    TP_ARGS(atlas, mid, ctx, quarantine),
	    TP_STRUCT__entry(NAME_FIELD
			     __field(u16, mid)
			     __field(const void *, ctx)
			     __field(u32, quarantine_ms)),
	    TP_fast_assign(NAME_ASSIGN;
			   __entry->mid = mid;
			   __entry->ctx = ctx;
			   __entry->quarantine_ms = jiffies_to_msecs(quarantine);),
	    TP_printk("%s mid=0x%04x ctx=%p quarantine_ms=%u", __get_str(name),
		      __entry->mid, __entry->ctx, __entry->quarantine_ms)
);

/* A MID that has no request */

DECLARE_EVENT_CLASS(midatlas_mid,
		    TP_PROTO(const struct mid_atlas *atlas, u16 mid),
		    TP_ARGS(atlas, mid),
		    TP_STRUCT__entry(NAME_FIELD
				     __field(u16, mid)),
		    TP_fast_assign(NAME_ASSIGN;
				   __entry->mid = mid;),
		    TP_printk("%s mid=0x%04x", __get_str(name), __entry->mid)
);

DEFINE_EVENT(midatlas_mid, midatlas_late,
	     TP_PROTO(const struct mid_atlas *atlas, u16 mid),
	     TP_ARGS(atlas, mid)
);

DEFINE_EVENT(midatlas_mid, midatlas_expire,
	     TP_PROTO(const struct mid_atlas *atlas, u16 mid),
	     TP_ARGS(atlas, mid)
);

DEFINE_EVENT(midatlas_mid, midatlas_stale,
	     TP_PROTO(const struct mid_atlas *atlas, u16 mid),
	     TP_ARGS(atlas, mid)
);

DEFINE_EVENT(midatlas_mid, midatlas_unknown,
	     TP_PROTO(const struct mid_atlas *atlas, u16 mid),
	     TP_ARGS(atlas, mid)
);

#endif /* _MIDATLAS_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH atlas
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * midatlax - the MID atlas of Windows' RDBSS, in its own names
 *
 * For mini-redirectors that move to Linux: its six MID routines with their
 * documented results, on top of midatlas.h, so that a source which uses them
 * compiles as it is.  New code uses midatlas.h, which can do more: a receiver
 * can take a reference, a signal can abandon a request, a task can wait.
 *
 * Both kinds of calls may be used on one atlas, so a port can go on from here
 * step by step.
 *
 * Where the documentation leaves a choice
 * =======================================
 *
 * RxReassociateMid(): "NewContext: a pointer that will hold the new context for
 * this MID on exit", and "the returned pNewMid parameter can be NULL if no
 * context is associated with this MID".  Read as words about an output they
 * contradict the signature: there is no pNewMid, and a PVOID that is passed by
 * value returns nothing; the page of RxMapAndDissociateMidFromContext() says the
 * same of its PVOID pointer, where it is true.  So here NewContext is what the MID
 * holds when the routine returns, as the page's first sentence has it
 * ("reassociates a MID with an alternate context"), and as drivers call it.  A
 * MID that had no context has none after it, either.
 *
 * RxMapAndDissociateMidFromContext(): "RxReassociateMid always returns
 * STATUS_SUCCESS" stands on its page, as its return value.  Both do, for any MID.
 *
 * RxAssociateContextWithMid(): fails if the MIDs in use are "greater than the
 * maximum".  They never are: RxCreateMidAtlas()' page calls it "the maximum
 * number to be allowed in the atlas".  It fails if one more would be.
 *
 * "Any opaque context": but for NULL, which is how the documentation says "no
 * context", and the last 4095 addresses, where no context can be.  These get
 * STATUS_UNSUCCESSFUL, from RxReassociateMid(), too: to report a success and
 * leave the old context in its place would be worse.
 *
 * IRQL <= APC_LEVEL is process context here: the caller may hold a mutex (which
 * is what a FAST_MUTEX is) and may sleep.  "Non-paged pool" is any memory of
 * this kernel.
 */
#ifndef _MIDATLAX_H
#define _MIDATLAX_H

#include <linux/err.h>
#include <linux/gfp_types.h>
#include <linux/types.h>

#include "midatlas.h"

/* Of Windows' basic types, those that the routines and their callers need. */
typedef void VOID;
typedef void *PVOID;
typedef u16 USHORT;
typedef u16 *PUSHORT;
typedef u32 ULONG;
typedef s32 NTSTATUS;

#ifndef NT_SUCCESS
#define NT_SUCCESS(status)		((NTSTATUS)(status) >= 0)
#endif
#ifndef STATUS_SUCCESS
#define STATUS_SUCCESS			((NTSTATUS)0x00000000)
#endif
#ifndef STATUS_UNSUCCESSFUL
#define STATUS_UNSUCCESSFUL		((NTSTATUS)0xc0000001)
#endif
#ifndef STATUS_INSUFFICIENT_RESOURCES
#define STATUS_INSUFFICIENT_RESOURCES	((NTSTATUS)0xc000009a)
#endif

/* The documentation has had both names for a pointer to an atlas. */
typedef struct mid_atlas MID_ATLAS, RX_MID_ATLAS;
typedef struct mid_atlas *PMID_ATLAS, *PRX_MID_ATLAS;

/**
 * typedef PCONTEXT_DESTRUCTOR - is handed a context that is left in an atlas
 * @Context: the context
 */
typedef void (*PCONTEXT_DESTRUCTOR)(PVOID Context);

/*
 * The callers are file systems, which may be writing back what reclaim waits
 * for, and there is nothing in RDBSS' signatures by which they could say so.
 */
#define MIDATLAX_GFP	GFP_NOFS

/**
 * RxCreateMidAtlas() - make an atlas
 * @MaximumNumberOfEntries: the most MIDs to be in use
 * @InitialAllocation: how many of them to allocate at once
 *
 * mid_atlas_create(), named after the module that calls it.
 *
 * Context: Process context.  May sleep.
 * Return: the atlas, or %NULL: no memory, @MaximumNumberOfEntries is 0, or
 * @InitialAllocation is more than that.
 */
static inline PRX_MID_ATLAS RxCreateMidAtlas(USHORT MaximumNumberOfEntries,
					     USHORT InitialAllocation)
{
	PRX_MID_ATLAS atlas = mid_atlas_create(KBUILD_MODNAME,
					       MaximumNumberOfEntries,
					       InitialAllocation, MIDATLAX_GFP);

	return IS_ERR(atlas) ? NULL : atlas;
}

/* A mid_ctx_fn: @arg points to the caller's destructor. */
static inline void midatlax_destruct(void *ctx, u16 mid, void *arg)
{
	PCONTEXT_DESTRUCTOR *destructor = arg;

	(*destructor)(ctx);
}

/**
 * RxDestroyMidAtlas() - end an atlas
 * @MidAtlas: the atlas, or %NULL
 * @ContextDestructor: is given each context that still has a MID; may be %NULL
 *
 * mid_atlas_destroy().  All calls of @ContextDestructor are over when it returns.
 *
 * Context: Process context.  May sleep.
 */
static inline void RxDestroyMidAtlas(PRX_MID_ATLAS MidAtlas,
				     PCONTEXT_DESTRUCTOR ContextDestructor)
{
	mid_atlas_destroy(MidAtlas, ContextDestructor ? midatlax_destruct : NULL,
			  &ContextDestructor);
}

/**
 * RxAssociateContextWithMid() - give a context a free MID
 * @MidAtlas: the atlas
 * @Context: any pointer but %NULL and error pointers
 * @NewMid: where to store the MID
 *
 * mid_atlas_associate().
 *
 * Context: Process context.  May sleep, unless the atlas was made with all its
 * MIDs: then any context but NMI.
 * Return: STATUS_SUCCESS, or, with nothing changed and *@NewMid untouched,
 * STATUS_INSUFFICIENT_RESOURCES if there was no memory for more MIDs,
 * STATUS_UNSUCCESSFUL if the maximum is in use, if @Context cannot be a context,
 * or if mid_atlas_drain() was called.
 */
static inline NTSTATUS RxAssociateContextWithMid(PRX_MID_ATLAS MidAtlas,
						 PVOID Context, PUSHORT NewMid)
{
	switch (mid_atlas_associate(MidAtlas, Context, NewMid, MIDATLAX_GFP)) {
	case 0:
		return STATUS_SUCCESS;
	case -ENOMEM:
		return STATUS_INSUFFICIENT_RESOURCES;
	default:
		return STATUS_UNSUCCESSFUL;
	}
}

/**
 * RxMapMidToContext() - find the context of a MID
 * @MidAtlas: the atlas
 * @Mid: any value, as it came from the wire
 *
 * mid_atlas_map().  That the context does not go away meanwhile is the caller's
 * to know, as it is on Windows.
 *
 * Context: Any context but NMI.
 * Return: the context, or %NULL if there is none.
 */
static inline PVOID RxMapMidToContext(PRX_MID_ATLAS MidAtlas, USHORT Mid)
{
	return mid_atlas_map(MidAtlas, Mid);
}

/**
 * RxMapAndDissociateMidFromContext() - take the context of a MID out
 * @MidAtlas: the atlas
 * @Mid: any value, as it came from the wire
 * @ContextPointer: where to store the context, or %NULL if there is none
 *
 * mid_atlas_dissociate().  If several call this for one MID, one gets the context.
 *
 * Context: Any context but NMI.
 * Return: STATUS_SUCCESS, whether there was a context or not.
 */
static inline NTSTATUS RxMapAndDissociateMidFromContext(PRX_MID_ATLAS MidAtlas,
							USHORT Mid,
							PVOID *ContextPointer)
{
	*ContextPointer = mid_atlas_dissociate(MidAtlas, Mid);
	return STATUS_SUCCESS;
}

/**
 * RxReassociateMid() - give the MID of one context to another
 * @MidAtlas: the atlas
 * @Mid: the MID
 * @NewContext: the context that shall have it; see the top of this file
 *
 * mid_atlas_reassociate(), which also returns the old context: a caller that does
 * not know it for certain should use that.
 *
 * Context: Any context but NMI.
 * Return: STATUS_SUCCESS, also, with nothing stored, if @Mid has no context;
 * STATUS_UNSUCCESSFUL, with nothing stored, if @NewContext cannot be a context.
 */
static inline NTSTATUS RxReassociateMid(PRX_MID_ATLAS MidAtlas, USHORT Mid,
					PVOID NewContext)
{
	if (IS_ERR(mid_atlas_reassociate(MidAtlas, Mid, NewContext)))
		return STATUS_UNSUCCESSFUL;
	return STATUS_SUCCESS;
}

#endif /* _MIDATLAX_H */

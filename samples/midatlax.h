/* SPDX-License-Identifier: GPL-2.0 */
/*
 * midatlax - the MID atlas of Windows' RDBSS under its original names
 *
 * For mini-redirectors that are ported to Linux.  The six MID routines of RDBSS,
 * with their documented results, as wrappers of midatlas.h: a source that uses
 * them compiles unchanged.  New code should use midatlas.h, which offers more: a
 * receiver can take a reference, a signal can abandon a request, a task can wait.
 *
 * Both sets of calls may be used on one atlas, so a port can move to midatlas.h
 * step by step.
 *
 * How the RDBSS documentation is read here
 * ========================================
 *
 * RxReassociateMid(): the page describes NewContext as "a pointer that will hold
 * the new context for this MID on exit", and says "the returned pNewMid parameter
 * can be NULL if no context is associated with this MID".  The signature has no
 * output parameter: there is no pNewMid, and NewContext is passed by value.  The
 * page of RxMapAndDissociateMidFromContext() has the same sentence, and there it
 * fits.  Here NewContext is the context that the MID holds when the routine
 * returns.  That is what the page's first sentence says ("reassociates a MID with
 * an alternate context") and how drivers call it.  A MID without a context still
 * has none afterwards.
 *
 * RxMapAndDissociateMidFromContext(): the page gives as its return value
 * "RxReassociateMid always returns STATUS_SUCCESS".  Both routines do, for any MID.
 *
 * RxAssociateContextWithMid(): the page says that it fails if the MIDs in use are
 * "greater than the maximum".  They never are: the page of RxCreateMidAtlas() calls
 * that number "the maximum number to be allowed in the atlas".  Here the routine
 * fails if the maximum is in use.
 *
 * "Any opaque context": except NULL, which means "no context", and error pointers
 * (the last 4095 addresses), where no object can be.  RxAssociateContextWithMid()
 * and RxReassociateMid() return STATUS_UNSUCCESSFUL for them.  Reporting success
 * and keeping the old context would be worse.
 *
 * IRQL <= APC_LEVEL is process context here: the caller may sleep, and may hold a
 * mutex, the counterpart of FAST_MUTEX.  "Non-paged pool" is any kernel memory.
 */
#ifndef _MIDATLAX_H
#define _MIDATLAX_H

#include <linux/err.h>
#include <linux/gfp_types.h>
#include <linux/types.h>

#include "midatlas.h"

/* The basic types of Windows that the routines and their callers need */
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

/* The documentation has used both names. */
typedef struct mid_atlas MID_ATLAS, RX_MID_ATLAS;
typedef struct mid_atlas *PMID_ATLAS, *PRX_MID_ATLAS;

/**
 * typedef PCONTEXT_DESTRUCTOR - called for each context left in a destroyed atlas
 * @Context: the context
 */
typedef void (*PCONTEXT_DESTRUCTOR)(PVOID Context);

/*
 * The callers are file systems.  They may be writing back dirty pages that reclaim
 * waits for, and RDBSS' signatures have no gfp argument.
 */
#define MIDATLAX_GFP	GFP_NOFS

/**
 * RxCreateMidAtlas() - create an atlas
 * @MaximumNumberOfEntries: maximum number of MIDs in use
 * @InitialAllocation: how many of them to allocate now
 *
 * Wraps mid_atlas_create().  The atlas has the name of the calling module.
 *
 * Context: Process context.  May sleep.
 * Return: the atlas, or %NULL if there is no memory, @MaximumNumberOfEntries is 0,
 * or @InitialAllocation is greater.
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
 * RxDestroyMidAtlas() - destroy an atlas
 * @MidAtlas: the atlas, or %NULL
 * @ContextDestructor: called for each context that still has a MID; may be %NULL
 *
 * Wraps mid_atlas_destroy().  All calls of @ContextDestructor have returned when
 * this returns.
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
 * Wraps mid_atlas_associate().  On failure nothing changes and *@NewMid is
 * untouched.
 *
 * Context: Process context.  May sleep.  Any context but NMI if the atlas was
 * created with all its MIDs.
 * Return: STATUS_SUCCESS; STATUS_INSUFFICIENT_RESOURCES if there was no memory for
 * more MIDs; STATUS_UNSUCCESSFUL if the maximum is in use, if @Context is %NULL or
 * an error pointer, or after mid_atlas_drain().
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
 * @Mid: any value from the wire
 *
 * Wraps mid_atlas_map().  The caller makes sure that the context is not freed
 * meanwhile, as on Windows.
 *
 * Context: Any context but NMI.
 * Return: the context, or %NULL if there is none.
 */
static inline PVOID RxMapMidToContext(PRX_MID_ATLAS MidAtlas, USHORT Mid)
{
	return mid_atlas_map(MidAtlas, Mid);
}

/**
 * RxMapAndDissociateMidFromContext() - remove the context of a MID
 * @MidAtlas: the atlas
 * @Mid: any value from the wire
 * @ContextPointer: where to store the context, or %NULL if there is none
 *
 * Wraps mid_atlas_dissociate().  If several callers race for one MID, exactly one
 * gets the context.
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
 * @NewContext: the context that gets it; see the top of this file
 *
 * Wraps mid_atlas_reassociate(), which also returns the old context.  Use that one
 * if the old context is not known for certain.
 *
 * Context: Any context but NMI.
 * Return: STATUS_SUCCESS, also if @Mid has no context (then nothing is stored);
 * STATUS_UNSUCCESSFUL if @NewContext is %NULL or an error pointer (nothing is
 * stored).
 */
static inline NTSTATUS RxReassociateMid(PRX_MID_ATLAS MidAtlas, USHORT Mid,
					PVOID NewContext)
{
	if (IS_ERR(mid_atlas_reassociate(MidAtlas, Mid, NewContext)))
		return STATUS_UNSUCCESSFUL;
	return STATUS_SUCCESS;
}

#endif /* _MIDATLAX_H */

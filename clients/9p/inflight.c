// SPDX-License-Identifier: GPL-2.0
/*
 * The requests in flight of one 9P connection: see inflight.h
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/mm.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/uio.h>
#include <linux/unaligned.h>
#include <linux/workqueue.h>
#include <net/9p/9p.h>
#include <net/9p/client.h>
#include <net/9p/transport.h>
#include <midatlas.h>

/* Tags of a connection without growing its table */
#define P9_FIRST_TAGS	128

/* The most tags that are kept for Tflush */
#define P9_FLUSH_TAGS	64

/* Bits of a request's flags.  The caller that sets the second of them settles the request. */
#define P9_REQ_LET_GO	BIT(0)	/* nobody waits for it, what it holds is its own */
#define P9_REQ_ENDED	BIT(1)

/* Called inside rcu_read_lock().  The request may be another one by now: only numbers. */
static void p9_req_show(struct seq_file *m, void *ctx)
{
	struct p9_req_t *req = ctx;

	seq_printf(m, "type %u fid %d pid %d%s", READ_ONCE(req->tc.id), (int)READ_ONCE(req->fid_nr),
		   READ_ONCE(req->pid), atomic_read(&req->flags) & P9_REQ_LET_GO ? " let go" : "");
}

/* Sends a request that nobody has to wait for.  Its end frees @fid and puts @flushes. */
static struct p9_req_t *p9_client_send(struct p9_client *c, int8_t type, struct p9_req_t *flushes,
				       struct p9_fid *fid, const char *fmt, ...)
{
	const uint rsize = c->trans_mod->pooled_rbuffers ? c->msize : 0;
	struct p9_req_t *req;
	va_list ap;
	int err;

	va_start(ap, fmt);
	req = p9_client_prepare_req(c, type, 0, rsize, fmt, ap);
	va_end(ap);
	if (IS_ERR(req))
		return req;
	req->tc.zc = false;
	req->rc.zc = false;

	if (flushes)
		p9_req_get(flushes);
	req->flushes = flushes;
	req->fid = fid;
	err = -EIO;
	if (!(atomic_fetch_or(P9_REQ_LET_GO, &req->flags) & P9_REQ_ENDED)) {
		err = c->trans_mod->request(c, req);
		if (err >= 0 || !p9_req_claim(c, req))
			return req;
		p9_req_put(c, req);	/* of the atlas */
	}
	if (flushes)
		p9_req_put(c, flushes);
	p9_req_put(c, req);
	return ERR_PTR(err);
}

static int p9_send_clunk(struct p9_client *c, struct p9_fid *fid)
{
	struct p9_req_t *req = p9_client_send(c, P9_TCLUNK, NULL, fid, "d", fid->fid);

	if (!IS_ERR(req))
		p9_req_put(c, req);
	return PTR_ERR_OR_ZERO(req);
}

static int p9_send_flush(struct p9_client *c, struct p9_req_t *oldreq)
{
	struct p9_req_t *req = p9_client_send(c, P9_TFLUSH, oldreq, NULL, "w", oldreq->tc.tag);

	if (!IS_ERR(req))
		p9_req_put(c, req);
	return PTR_ERR_OR_ZERO(req);
}

static struct p9_req_t *p9_next_unflushed(struct p9_client *c)
{
	struct p9_req_t *req;

	spin_lock_irq(&c->lock);
	req = list_first_entry_or_null(&c->unflushed, struct p9_req_t, req_list);
	if (req)
		list_del_init(&req->req_list);
	spin_unlock_irq(&c->lock);
	return req;
}

static struct p9_fid *p9_next_unclunked(struct p9_client *c)
{
	struct p9_fid *fid;

	spin_lock_irq(&c->lock);
	fid = hlist_entry_safe(c->unclunked.first, struct p9_fid, ilist);
	if (fid)
		hlist_del(&fid->ilist);
	spin_unlock_irq(&c->lock);
	return fid;
}

static void p9_flush_later(struct p9_client *c, struct p9_req_t *req)
{
	unsigned long flags;

	p9_req_get(req);
	spin_lock_irqsave(&c->lock, flags);
	list_add(&req->req_list, &c->unflushed);
	spin_unlock_irqrestore(&c->lock, flags);
}

static void p9_clunk_later(struct p9_client *c, struct p9_fid *fid)
{
	unsigned long flags;

	spin_lock_irqsave(&c->lock, flags);
	hlist_add_head(&fid->ilist, &c->unclunked);
	spin_unlock_irqrestore(&c->lock, flags);
}

/* Whether a request that could not be sent is sent later */
static bool p9_is_for_later(int err)
{
	return err == -ENOSPC || err == -ENOMEM;
}

/* Any context */
static void p9_tidy(struct p9_client *c)
{
	queue_work(system_long_wq, &c->tidy_work);
}

/*
 * Sends what could not be sent at once, as far as there are tags.
 *
 *	T1: p9_tidy_work()		T2: p9_client_cb()
 *
 *	starved = true
 *	no tag
 *					the tag is free
 *					starved? queues the work again
 */
static void p9_tidy_work(struct work_struct *work)
{
	struct p9_client *c = container_of(work, struct p9_client, tidy_work);
	struct p9_req_t *req;
	struct p9_fid *fid;
	int err = 0;

	WRITE_ONCE(c->starved, true);
	/* Pairs with p9_client_cb(). */
	smp_mb();
	while (!p9_is_for_later(err) && (req = p9_next_unflushed(c))) {
		if (!(atomic_read(&req->flags) & P9_REQ_ENDED))
			err = p9_send_flush(c, req);
		if (p9_is_for_later(err))
			p9_flush_later(c, req);
		p9_req_put(c, req);
	}
	while (!p9_is_for_later(err) && (fid = p9_next_unclunked(c))) {
		err = p9_send_clunk(c, fid);
		if (p9_is_for_later(err))
			p9_clunk_later(c, fid);
		else if (err)
			p9_fid_destroy(fid);
	}
	if (!p9_is_for_later(err))
		WRITE_ONCE(c->starved, false);
}

/**
 * p9_fid_drop - put a reference to a fid, without waiting
 * @fid: the fid
 *
 * Context: Any context.
 */
void p9_fid_drop(struct p9_fid *fid)
{
	if (!refcount_dec_and_test(&fid->count))
		return;
	if (fid->gone) {
		p9_fid_destroy(fid);
		return;
	}
	p9_clunk_later(fid->clnt, fid);
	p9_tidy(fid->clnt);
}

/* A task that exits cannot be killed any more, and a kworker has others to serve. */
static bool p9_may_wait(struct p9_client *c)
{
	return !(current->flags & (PF_EXITING | PF_KTHREAD)) && !fatal_signal_pending(current) &&
		READ_ONCE(c->status) == Connected;
}

/**
 * p9_client_clunk - tell the server to forget a fid, and free it
 * @fid: the fid, to which nobody has a reference
 *
 * Waits for the reply only in a task that can be killed.  The Tclunk owns the fid: its
 * number is not used again before the Tclunk has ended.
 *
 * Return: 0 or the error of the server.
 */
int p9_client_clunk(struct p9_fid *fid)
{
	struct p9_client *c = fid->clnt;
	struct p9_req_t *req;
	int err;

	if (fid->gone) {
		p9_fid_destroy(fid);
		return 0;
	}
	req = ERR_PTR(-ERESTARTSYS);
	if (p9_may_wait(c))
		req = p9_client_send(c, P9_TCLUNK, NULL, fid, "d", fid->fid);
	if (PTR_ERR_OR_ZERO(req) == -ERESTARTSYS) {
		p9_clunk_later(c, fid);
		p9_tidy(c);
		return 0;
	}
	if (IS_ERR(req)) {
		p9_fid_destroy(fid);
		return PTR_ERR(req);
	}
	/* Pairs with p9_client_cb(). */
	err = wait_event_killable(req->wq, smp_load_acquire(&req->status) >= REQ_STATUS_RCVD);
	if (!err && req->status == REQ_STATUS_RCVD)
		err = p9_check_errors(c, req);
	else if (!err)
		err = req->t_err;
	p9_req_put(c, req);
	return err;
}
EXPORT_SYMBOL(p9_client_clunk);

/*
 * Tells the server that a request is not wanted any more.  The request stays in flight.
 * Nobody waits for the Rflush.  When it comes it ends @oldreq, unless a reply has done so.
 */
static void p9_client_flush(struct p9_client *c, struct p9_req_t *oldreq)
{
	if (oldreq->tc.tag == P9_NOTAG || !p9_is_for_later(p9_send_flush(c, oldreq)))
		return;
	p9_flush_later(c, oldreq);
	p9_tidy(c);
}

/**
 * p9_tags_create - create the atlas of a new connection
 * @c: the connection; c->max_tags is the mount option, or 0
 *
 * Some tags are only for Tflush, so that it can be sent while all others are in use.
 *
 * Return: 0 or %-ENOMEM.
 */
int p9_tags_create(struct p9_client *c)
{
	static atomic_t seqno = ATOMIC_INIT(0);
	unsigned int max = c->max_tags ?: MID_ATLAS_MAX_MIDS;
	char name[16];
	int err;

	c->version = NULL;
	atomic_long_set(&c->strays, 0);
	INIT_HLIST_HEAD(&c->unclunked);
	INIT_LIST_HEAD(&c->unflushed);
	INIT_WORK(&c->tidy_work, p9_tidy_work);
	c->starved = false;

	snprintf(name, sizeof(name), "9p-%u", (unsigned int)atomic_inc_return(&seqno));
	c->tags = mid_atlas_create(name, max, min(max, P9_FIRST_TAGS), GFP_KERNEL);
	if (IS_ERR(c->tags)) {
		err = PTR_ERR(c->tags);
		c->tags = NULL;
		return err;
	}
	mid_atlas_show_with(c->tags, p9_req_show);
	return mid_atlas_set_aside(c->tags, clamp(max / 8, 1, P9_FLUSH_TAGS));
}

/**
 * p9_tag_take - give a new request its tag
 * @c: the connection
 * @req: the request, all of it initialized but for its tag
 * @type: its type
 *
 * Waits while all tags are in use, unless it is for a Tflush or the task may not wait.
 *
 * Return: 0, and the caller and the atlas have a reference each; else the caller has one:
 * %-ERESTARTSYS if the task was killed, %-EIO if the connection has ended, %-ENOSPC,
 * %-ENOMEM or %-EBUSY.
 */
int p9_tag_take(struct p9_client *c, struct p9_req_t *req, int8_t type)
{
	int err;

	req->flushes = NULL;
	req->fid = NULL;
	req->fid_nr = P9_NOFID;
	req->kept_pages = NULL;
	req->kept_rdir = NULL;
	req->pid = task_pid_nr(current);
	atomic_set(&req->flags, 0);
	/* Pairs with p9_req_get_live(), which may have found an earlier use of the memory. */
	refcount_set_release(&req->refcount, 2);

	if (type == P9_TVERSION) {
		req->tc.tag = P9_NOTAG;
		err = cmpxchg(&c->version, NULL, req) ? -EBUSY : 0;
	} else if (type == P9_TFLUSH) {
		err = mid_atlas_associate_urgent(c->tags, req, &req->tc.tag, GFP_NOFS);
	} else if (type == P9_TCLUNK && !p9_may_wait(c)) {
		err = mid_atlas_associate(c->tags, req, &req->tc.tag, GFP_NOFS);
	} else {
		err = mid_atlas_associate_wait(c->tags, req, &req->tc.tag, GFP_NOFS,
					       MAX_SCHEDULE_TIMEOUT);
	}
	if (err) {
		refcount_dec(&req->refcount);
		return err == -ESHUTDOWN ? -EIO : err;
	}
	/* Pairs with p9_tags_end(): it sees the request, or this sees the status. */
	smp_mb();
	if (READ_ONCE(c->status) == BeginDisconnect && type != P9_TCLUNK)
		p9_req_end(c, req, REQ_STATUS_ERROR, -EIO);
	return 0;
}

/**
 * p9_req_note_fid - record the fid of a request, for debugfs
 * @req: the request; its message is complete
 */
void p9_req_note_fid(struct p9_req_t *req)
{
	if (req->tc.id != P9_TVERSION && req->tc.id != P9_TFLUSH)
		WRITE_ONCE(req->fid_nr, get_unaligned_le32(req->tc.sdata + P9_HDRSZ));
}

/**
 * p9_req_advance - record that a request is queued or sent
 * @req: the request
 * @status: %REQ_STATUS_UNSENT or %REQ_STATUS_SENT
 *
 * Return: false if the request has ended and must not be sent.
 */
bool p9_req_advance(struct p9_req_t *req, int status)
{
	int old = READ_ONCE(req->status);

	/* Orders the whole message before the status, see p9_tag_lookup(). */
	return old < REQ_STATUS_SENT && cmpxchg(&req->status, old, status) == old;
}
EXPORT_SYMBOL(p9_req_advance);

/* Called inside rcu_read_lock(): the memory of a request stays one of a request. */
static bool p9_req_get_live(void *req)
{
	/* Pairs with p9_tag_take(). */
	return refcount_inc_not_zero_acquire(&((struct p9_req_t *)req)->refcount);
}

static void p9_req_put_ctx(void *req)
{
	p9_req_put(NULL, req);
}

static struct p9_req_t *p9_version_get(struct p9_client *c)
{
	struct p9_req_t *req;

	rcu_read_lock();
	req = READ_ONCE(c->version);
	if (req && !p9_req_get_live(req))
		req = NULL;
	if (req && READ_ONCE(c->version) != req) {
		p9_req_put(c, req);
		req = NULL;
	}
	rcu_read_unlock();
	return req;
}

/* Whether @type is a reply to @req */
static bool p9_req_fits(const struct p9_req_t *req, u8 type)
{
	return type == req->tc.id + 1 || type == P9_RERROR || type == P9_RLERROR;
}

/**
 * p9_tag_lookup - find the request that a reply belongs to
 * @c: the connection
 * @tag: from the reply
 * @type: from the reply
 *
 * A reply that belongs to no request is counted, and must be skipped.
 *
 * Return: the request, with a strong reference and still in flight, or %NULL.
 */
struct p9_req_t *p9_tag_lookup(struct p9_client *c, u16 tag, u8 type)
{
	struct p9_req_t *req;

	if (tag == P9_NOTAG)
		req = p9_version_get(c);
	else
		req = mid_atlas_map_get_put(c->tags, tag, p9_req_get_live, p9_req_put_ctx);
	/* Pairs with p9_req_advance(). */
	if (req && smp_load_acquire(&req->status) == REQ_STATUS_SENT && p9_req_fits(req, type))
		return req;
	if (req)
		p9_req_put(c, req);
	else if (tag != P9_NOTAG)
		mid_atlas_stray(c->tags, tag);
	atomic_long_inc(&c->strays);
	return NULL;
}
EXPORT_SYMBOL(p9_tag_lookup);

/**
 * p9_req_claim - take a request out, to end it
 * @c: the connection
 * @req: the request, to which the caller has a reference of its own
 *
 * Return: true if the caller owns the request now, and the reference of the atlas.  If
 * false, another path has claimed it, and the caller must leave it alone.
 */
bool p9_req_claim(struct p9_client *c, struct p9_req_t *req)
{
	if (req->tc.tag == P9_NOTAG)
		return cmpxchg(&c->version, req, NULL) == req;
	return mid_atlas_dissociate_if(c->tags, req->tc.tag, req);
}
EXPORT_SYMBOL(p9_req_claim);

/**
 * p9_tag_claim - find the request that a reply belongs to, and take it out
 * @c: the connection
 * @tag: from the reply
 * @type: from the reply
 *
 * Return: the request, to be ended by p9_client_cb(), or %NULL.
 */
struct p9_req_t *p9_tag_claim(struct p9_client *c, u16 tag, u8 type)
{
	struct p9_req_t *req = p9_tag_lookup(c, tag, type);
	bool ours;

	if (!req)
		return NULL;
	ours = p9_req_claim(c, req);
	p9_req_put(c, req);
	return ours ? req : NULL;
}
EXPORT_SYMBOL(p9_tag_claim);

/* Whether the reply of a request says that the server has the fid @req->fid now */
static bool p9_reply_makes_fid(const struct p9_req_t *req)
{
	const u8 *t = req->tc.sdata + P9_HDRSZ, *r = req->rc.sdata + P9_HDRSZ;

	if (req->rc.sdata[4] != req->tc.id + 1)
		return false;
	switch (req->tc.id) {
	case P9_TWALK:	/* all names were walked */
		return req->rc.size >= P9_HDRSZ + 2 &&
			get_unaligned_le16(t + 8) == get_unaligned_le16(r);
	case P9_TATTACH:
	case P9_TXATTRWALK:
		return true;
	default:
		return false;
	}
}

/* The end of a request that nobody waits for */
static void p9_req_settle(struct p9_client *c, struct p9_req_t *req, int status)
{
	struct p9_fid *fid = req->fid;

	if (req->flushes) {
		if (status == REQ_STATUS_RCVD && req->rc.sdata[4] == P9_RFLUSH)
			p9_req_end(c, req->flushes, REQ_STATUS_FLSHD, -ERESTARTSYS);
		p9_req_put(c, req->flushes);
	}
	if (!fid)
		return;
	if (req->tc.id == P9_TCLUNK) {
		p9_fid_destroy(fid);
		return;
	}
	if (status == REQ_STATUS_RCVD && req->tc.id == P9_TREMOVE)
		fid->gone = true;
	if (status == REQ_STATUS_RCVD && p9_reply_makes_fid(req))
		fid->gone = false;
	p9_fid_drop(fid);
}

/**
 * p9_client_cb - end a request
 * @c: the connection
 * @req: the request, which the caller has claimed
 * @status: %REQ_STATUS_RCVD, %REQ_STATUS_FLSHD or %REQ_STATUS_ERROR
 *
 * The reference of the atlas is put.
 *
 * Context: Any context.
 */
void p9_client_cb(struct p9_client *c, struct p9_req_t *req, int status)
{
	/* Pairs with the barriers of the waiters: they see the reply, or the error. */
	smp_store_release(&req->status, status);
	if (atomic_fetch_or(P9_REQ_ENDED, &req->flags) & P9_REQ_LET_GO)
		p9_req_settle(c, req, status);
	/* The flags are a full barrier.  Pairs with p9_tidy_work(). */
	if (READ_ONCE(c->starved))
		p9_tidy(c);
	wake_up(&req->wq);
	p9_req_put(c, req);
}
EXPORT_SYMBOL(p9_client_cb);

/**
 * p9_req_end - end a request without a reply, unless another path has claimed it
 * @c: the connection
 * @req: the request, to which the caller has a reference of its own
 * @status: %REQ_STATUS_FLSHD or %REQ_STATUS_ERROR
 * @err: the error of the request
 */
void p9_req_end(struct p9_client *c, struct p9_req_t *req, int status, int err)
{
	if (!p9_req_claim(c, req))
		return;
	req->t_err = err;
	if (status == REQ_STATUS_FLSHD && c->trans_mod->cancelled)
		c->trans_mod->cancelled(c, req);
	p9_client_cb(c, req, status);
}
EXPORT_SYMBOL(p9_req_end);

/* The fid that a request must keep, with a reference, or %NULL */
static struct p9_fid *p9_req_fid(struct p9_client *c, struct p9_req_t *req)
{
	const u8 *at = req->tc.sdata + P9_HDRSZ;
	struct p9_fid *fid;
	unsigned long flags;

	switch (req->tc.id) {
	case P9_TVERSION:
		return NULL;
	case P9_TWALK:
	case P9_TXATTRWALK:
		at += 4;	/* newfid */
		break;
	}
	spin_lock_irqsave(&c->lock, flags);
	fid = idr_find(&c->fids, get_unaligned_le32(at));
	if (fid && !refcount_inc_not_zero(&fid->count))
		fid = NULL;
	spin_unlock_irqrestore(&c->lock, flags);
	return fid;
}

/*
 * Leaves a request to its reply, because its task was killed.  The request keeps its fid
 * until it ends.  If its late reply says that a fid came into being, that is clunked.
 * False if the request has ended already.
 */
static bool p9_req_let_go(struct p9_client *c, struct p9_req_t *req)
{
	if (!c->trans_mod->cancel(c, req))
		return false;
	req->fid = p9_req_fid(c, req);
	if (atomic_fetch_or(P9_REQ_LET_GO, &req->flags) & P9_REQ_ENDED) {
		if (req->fid)
			p9_fid_drop(req->fid);
		return false;
	}
	if (READ_ONCE(c->status) == Connected)
		p9_client_flush(c, req);
	return true;
}

/* Whether another process uses the memory of this one.  None begins to after a fatal signal. */
static bool p9_mm_is_shared(void)
{
	struct task_struct *process, *thread;
	struct mm_struct *mm = current->mm;
	bool shared = false;

	rcu_read_lock();
	for_each_process_thread(process, thread)
		shared |= READ_ONCE(thread->mm) == mm && !same_thread_group(thread, current);
	rcu_read_unlock();
	return shared;
}

/*
 * Whether nobody looks at these pages after the task has been killed: they are anonymous
 * memory of its process only.  A page of the page cache is in use again at once:
 *
 *	T1: read, killed	T2			T3: device
 *
 *	netfs unlocks the folio
 *				fills the folio again,
 *				writes to it
 *							late reply: overwrites it
 *
 * And netfs does not let the folio be taken out of the page cache: when it ends the read,
 * netfs_bulk_drop_ra_refs() puts the references of what it finds there.
 */
static bool p9_pages_die(struct page **pages, int nr)
{
	int i;

	if (!current->mm || !fatal_signal_pending(current) || p9_mm_is_shared())
		return false;
	for (i = 0; i < nr; i++)
		if (!PageAnon(pages[i]))
			return false;
	return true;
}

/*
 * Whether a killed task may leave the memory of its request to the device.  If not, the memory
 * is of the page cache, shared, or of an extended attribute.
 */
static bool p9_may_leave(struct p9_req_t *req, const struct iov_iter *iter, struct page **pages,
			 int nr)
{
	if (iov_iter_is_kvec(iter))
		return req->tc.id == P9_TREADDIR;
	if (iov_iter_is_folioq(iter))
		return false;
	return iov_iter_rw(iter) == WRITE || p9_pages_die(pages, nr);
}

/* The buffer of a directory belongs to its fid, and its pages have no references. */
static void *p9_take_rdir(struct p9_client *c, struct p9_req_t *req)
{
	struct p9_fid *fid = p9_req_fid(c, req);
	void *rdir;

	if (!fid)
		return NULL;
	rdir = fid->rdir;
	fid->rdir = NULL;
	p9_fid_drop(fid);
	return rdir;
}

static bool p9_zc_has_ended(struct p9_req_t *req)
{
	/* Pairs with the end of the request in the transport: its memory is not in use. */
	return READ_ONCE(req->status) >= REQ_STATUS_RCVD && !smp_load_acquire(&req->in_ring);
}

/**
 * p9_zc_wait - wait for the end of a request, while a device uses its memory
 * @c: the connection
 * @req: the request, which was sent
 * @ring_lock: protects @req->in_ring
 * @iter: describes the memory
 * @pages: the pages of the memory, in an array that the caller has allocated
 * @nr: their number
 *
 * Return: 0 if the device has returned the memory; %-ERESTARTSYS if the task was killed and
 * the request has the memory: the transport calls p9_req_unkeep() when the device returns it.
 */
int p9_zc_wait(struct p9_client *c, struct p9_req_t *req, spinlock_t *ring_lock,
	       const struct iov_iter *iter, struct page **pages, int nr)
{
	bool may, kept;

	if (!io_wait_event_killable(req->wq, p9_zc_has_ended(req)))
		return 0;
	may = p9_may_leave(req, iter, pages, nr);
	spin_lock_irq(ring_lock);
	kept = may && req->in_ring;
	if (kept && iov_iter_is_kvec(iter)) {
		nr = 0;
		req->kept_rdir = p9_take_rdir(c, req);
		kept = req->kept_rdir;
	}
	if (kept) {
		req->nr_kept = nr;
		req->kept_pages = pages;
	}
	spin_unlock_irq(ring_lock);
	if (kept) {
		p9_req_let_go(c, req);
		return -ERESTARTSYS;
	}
	p9_client_flush(c, req);
	wait_event(req->wq, p9_zc_has_ended(req));
	return 0;
}
EXPORT_SYMBOL(p9_zc_wait);

/**
 * p9_req_unkeep - free what a killed task has left to a request
 * @req: the request
 *
 * Context: Any context, with the lock of the ring.
 */
void p9_req_unkeep(struct p9_req_t *req)
{
	unsigned int i;

	for (i = 0; i < req->nr_kept; i++)
		put_page(req->kept_pages[i]);
	kvfree_atomic(req->kept_pages);
	kvfree_atomic(req->kept_rdir);
	req->kept_pages = NULL;
	req->kept_rdir = NULL;
}
EXPORT_SYMBOL(p9_req_unkeep);

/**
 * p9_req_result - let go of a request if its task was killed, else say how it ended
 * @c: the connection
 * @req: the request
 * @err: 0, or %-ERESTARTSYS if the task was killed while it waited
 *
 * Return: 0 if there is a reply, else the error.
 */
int p9_req_result(struct p9_client *c, struct p9_req_t *req, int err)
{
	if (err == -ERESTARTSYS && p9_req_let_go(c, req))
		return err;
	return READ_ONCE(req->status) == REQ_STATUS_RCVD ? 0 : req->t_err;
}

struct p9_end {
	struct p9_client *c;
	int err;
};

static void p9_end_one(void *ctx, u16 tag, void *arg)
{
	struct p9_req_t *req = ctx;
	struct p9_end *end = arg;

	req->t_err = end->err;
	p9_client_cb(end->c, req, REQ_STATUS_ERROR);
}

/**
 * p9_tags_end - end all requests in flight
 * @c: the connection
 * @err: the error of the requests
 */
void p9_tags_end(struct p9_client *c, int err)
{
	struct p9_end end = { c, err };
	struct p9_req_t *version;

	/* Pairs with p9_tag_take(). */
	smp_mb();
	mid_atlas_claim_all(c->tags, p9_end_one, &end);
	version = xchg(&c->version, NULL);
	if (version)
		p9_end_one(version, P9_NOTAG, &end);
}

/**
 * p9_tags_shut - end all requests in flight, and refuse new ones
 * @c: the connection, which has ended
 * @err: the error of the requests
 */
void p9_tags_shut(struct p9_client *c, int err)
{
	mid_atlas_shut(c->tags);
	p9_tags_end(c, err);
}
EXPORT_SYMBOL(p9_tags_shut);

/**
 * p9_tags_destroy - free what p9_tags_create() allocated
 * @c: the connection; its transport is closed, and no task uses it any more
 *
 * Fids of requests that were still in flight are freed, too.
 */
void p9_tags_destroy(struct p9_client *c)
{
	struct mid_atlas_stats s;

	if (!c->tags)
		return;
	c->status = Disconnected;
	p9_tags_shut(c, -ECONNRESET);
	p9_tidy(c);
	flush_work(&c->tidy_work);
	mid_atlas_stats(c->tags, &s);
	pr_info("%llu tags handed out, %llu came back, %u left; %lu stray replies skipped; %u in flight at most\n",
		s.associated, s.dissociated, s.in_use, atomic_long_read(&c->strays), s.high_water);
	mid_atlas_destroy(c->tags, NULL, NULL);
	c->tags = NULL;
}

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The parts of the kernel that only the sample client needs: a socket, a thread,
 * reference counts
 */
#ifndef _CLIENT_H
#define _CLIENT_H

#include "fuzz.h"

/* Threads.  The only task is the receiver. */

bool kthread_should_stop(void);
bool signal_pending(struct task_struct *task);
#define cond_resched()	do { } while (0)
#define schedule_timeout_interruptible(ticks)	pass_time(ticks)

#define mutex_init(m)	((m)->locked = false)
#undef mutex_lock
#undef mutex_unlock
void mutex_lock(struct mutex *m);
int mutex_lock_killable(struct mutex *m);
bool mutex_trylock(struct mutex *m);
void mutex_unlock(struct mutex *m);
#undef lockdep_assert_held
#define lockdep_assert_held(m)	must((m)->locked, "%s() without the lock", __func__)

typedef struct { int none; } wait_queue_head_t;

#define init_waitqueue_head(q)	((void)(q))
#define wake_up_all(q)		((void)(q))
#define wait_event_killable_timeout(q, condition, timeout)		\
({									\
	unsigned long by_ = jiffies + (timeout);			\
									\
	while (!(condition) && !killed && time_before(jiffies, by_))	\
		pass_time(1);						\
	(condition) ? 1 : killed ? -(long)ERESTARTSYS : 0;				\
})

#define reinit_completion(c)	((c)->done = 0)
#define wait_for_completion_killable(c)	\
	(wait_for_completion_killable_timeout(c, MAX_SCHEDULE_TIMEOUT) < 0)

/* Time */

#define HZ	20
#undef msecs_to_jiffies		/* the model's jiffies are milliseconds */
#define msecs_to_jiffies(ms)	((ms) / (1000 / HZ))
#define ktime_get_ns()		(jiffies * (1000000000ull / HZ))
#ifndef time_after_eq
#define time_after_eq(a, b)	((long)((a) - (b)) >= 0)
#endif

/* Memory */

#define kvmalloc	model_alloc_raw

struct kref { int count; };

#define kref_init(k)	((k)->count = 1)
#define kref_get(k)	must((k)->count++ > 0, "a reference to a freed object")
#define kref_get_unless_zero(k)	((k)->count && (k)->count++)
#define kref_put(k, release)						\
	do {								\
		must((k)->count > 0, "a reference was put twice");	\
		if (!--(k)->count)					\
			release(k);					\
	} while (0)

struct rnd_state { u32 state; };

#define prandom_seed_state(s, seed)	((s)->state = (seed))
void prandom_bytes_state(struct rnd_state *s, void *buf, size_t n);
#define get_random_bytes(buf, n)	memset(buf, 0xee, n)

/* Messages */

static inline void no_print(const char *fmt, ...) { }
#define pr_info_ratelimited	no_print

/* The socket */

#define SOCK_STREAM	1
#define IPPROTO_TCP	6
#define SHUT_RDWR	2
#define MSG_WAITALL	0x100
#define MSG_NOSIGNAL	0x4000
#define ITER_DEST	0
#define ITER_SOURCE	1
#define __packed	__attribute__((packed))

struct sockaddr_storage { unsigned short ss_family; char data[126]; };
struct sock { long sk_sndtimeo; };
struct socket { struct sock *sk; struct sock its_sk; bool shut; };
struct kvec { void *iov_base; size_t iov_len; };

struct iov_iter {
	const struct kvec *vec;
	size_t offset;		/* in the first kvec */
	size_t left;
};

struct msghdr { unsigned int msg_flags; struct iov_iter msg_iter; };

#define U16_MAX		USHRT_MAX
#define SZ_64K		0x10000
#undef static_assert
#define static_assert(c)	_Static_assert(c, #c)

/* Constant if its argument is constant */
#undef cpu_to_be32
#define cpu_to_be32(x)	((__be32)__builtin_bswap32(x))

#define init_net	(*(char *)NULL)
#define msg_data_left(msg)	((msg)->msg_iter.left)
#define tcp_sock_set_nodelay(sk)	((void)(sk))
void iov_iter_kvec(struct iov_iter *iter, unsigned int direction,
		   const struct kvec *vec, size_t n, size_t size);
int sock_create_kern(void *net, int family, int type, int protocol, struct socket **sock);
int kernel_connect(struct socket *sock, void *to, int size, int flags);
void kernel_sock_shutdown(struct socket *sock, int how);
void sock_release(struct socket *sock);
int sock_sendmsg(struct socket *sock, struct msghdr *msg);
int sock_recvmsg(struct socket *sock, struct msghdr *msg, int flags);

#endif /* _CLIENT_H */

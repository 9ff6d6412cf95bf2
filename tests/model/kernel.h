/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel that midatlas.c and midwindow.c see in user space
 *
 * What has no state comes from the kernel's own tools/include.  The rest is here,
 * sequentially consistent, and says shared() before each access to what others
 * may change: there the model lets others run, and the fuzzers do nothing.
 */
#ifndef _MODEL_KERNEL_H
#define _MODEL_KERNEL_H

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/types.h>
#include <linux/compiler.h>
#include <linux/bits.h>
#include <linux/bitmap.h>
#include <linux/bitops.h>
#include <linux/err.h>
#include <linux/hash.h>
#include <linux/kernel.h>
#include <linux/list.h>
#include <linux/list_sort.h>
#include <linux/log2.h>
#include <linux/math.h>
#include <linux/overflow.h>
#include <linux/rbtree.h>

/* Somebody else may run here, before @addr is accessed; a fuzzer is ALONE. */
#ifdef ALONE
#define shared(addr)	((void)(addr))
#else
void shared(const volatile void *addr, const char *function, int line);
#define shared(addr)	shared(addr, __func__, __LINE__)
#endif

/* Something that must never be. */
void __attribute__((noreturn, format(printf, 1, 2))) broken(const char *fmt, ...);

/*
 * Words and annotations
 */

#undef READ_ONCE
#undef WRITE_ONCE
#define READ_ONCE(x)	({ shared(&(x)); *(const volatile __typeof__(x) *)&(x); })
#define WRITE_ONCE(x, v) ({ shared(&(x)); *(volatile __typeof__(x) *)&(x) = (v); })
#define smp_load_acquire(p)	READ_ONCE(*(p))
#define smp_store_release(p, v)	WRITE_ONCE(*(p), v)
#define xchg(p, v)	({ shared(p); __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST); })
#define cas(p, old, n)									\
	__atomic_compare_exchange_n(p, old, n, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)
#define cmpxchg(p, o, n)				\
({							\
	__typeof__(*(p)) was_ = (o);			\
							\
	shared(p);					\
	cas(p, &was_, n);				\
	was_;						\
})

#undef smp_mb
#undef smp_rmb
#undef smp_wmb
#define smp_mb()	barrier()
#define smp_rmb()	barrier()
#define smp_wmb()	barrier()
#define smp_mb__after_atomic()	barrier()
#define smp_mb__before_atomic()	barrier()

#define __rcu
#define __percpu
#define __read_mostly
#ifndef ____cacheline_aligned_in_smp
#define ____cacheline_aligned_in_smp
#endif
#undef __must_check
#define __must_check	__attribute__((warn_unused_result))
#undef noinline
#define noinline	__attribute__((noinline))
#define VISIBLE_IF_KUNIT
/* In the place of f() a test can have its test_f(). */
#define KUNIT_STATIC_STUB_REDIRECT(f, ...)				\
	do {								\
		extern __typeof__(f) test_##f __attribute__((weak));	\
		if (test_##f)						\
			return test_##f(__VA_ARGS__);			\
	} while (0)
#define EXPORT_SYMBOL_IF_KUNIT(symbol)	extern int unused_##symbol
#define EXPORT_SYMBOL_GPL(symbol)	extern int unused_##symbol
#define MODULE_DESCRIPTION(text)	extern int unused_description
#define MODULE_LICENSE(text)		extern int unused_license
#define module_param_named(name, ...)	extern int unused_##name
#define MODULE_PARM_DESC(name, text)	extern int unused_##name
#define module_init(f)	int module_starts(void); int module_starts(void) { return f(); }
#define subsys_initcall(f)	module_init(f)
#define module_exit(f)	void module_ends(void); void module_ends(void) { f(); }
#define __init
#define __exit
#define IS_ENABLED(option)	0
#define order_base_2(n)		((n) > 1 ? ilog2((n) - 1) + 1 : 0)

/* As in the kernel, constants of another type are fine. */
#undef min
#undef max
#undef min_t
#define min(a, b)	({ __auto_type a_ = (a); __auto_type b_ = (b); a_ < b_ ? a_ : b_; })
#define max(a, b)	({ __auto_type a_ = (a); __auto_type b_ = (b); a_ > b_ ? a_ : b_; })
#define min_t(type, a, b)	({ type a_ = (a); type b_ = (b); a_ < b_ ? a_ : b_; })
#undef clamp
#define clamp(v, lo, hi)						\
	min((__typeof__(v))max((__typeof__(v))(v), (__typeof__(v))(lo)), \
	    (__typeof__(v))(hi))
#define min3(a, b, c)		min((__typeof__(a))min(a, b), c)
/* In tools/include it does not say yet whether the node is the first one. */
#define rb_add_cached(node, tree, less)		\
	({ rb_add_cached(node, tree, less); (tree)->rb_leftmost == (node); })
#define WARN_ON_ONCE(c)	({ bool c_ = (c); if (c_) broken("WARN_ON(%s)", #c); c_; })

/*
 * Atomics
 */

typedef struct { s64 counter; } atomic64_t;

#define atomic_read(v)		READ_ONCE((v)->counter)
#define atomic_set(v, n)	WRITE_ONCE((v)->counter, n)
#define atomic_fetch_add(n, v)						\
	({ shared(v); __atomic_fetch_add(&(v)->counter, n, __ATOMIC_SEQ_CST); })
#define atomic_try_cmpxchg(v, old, n)	({ shared(v); cas(&(v)->counter, old, n); })
#define atomic_or(n, v)							\
({									\
	shared(v);							\
	model_flags(v);							\
	(void)__atomic_fetch_or(&(v)->counter, n, __ATOMIC_SEQ_CST);	\
})
#define atomic_andnot(n, v)						\
({									\
	shared(v);							\
	model_flags(v);							\
	(void)__atomic_fetch_and(&(v)->counter, ~(n), __ATOMIC_SEQ_CST);	\
})
#define atomic_add(n, v)	((void)atomic_fetch_add(n, v))
#define atomic_sub(n, v)	((void)atomic_fetch_add(-(s64)(n), v))
#define atomic_inc(v)		((void)atomic_fetch_add(1, v))
#define atomic_dec_and_test(v)		(atomic_fetch_add(-1, v) == 1)
#define atomic_read_acquire		atomic_read
#define atomic_set_release		atomic_set
#define atomic_fetch_add_relaxed	atomic_fetch_add
#undef ATOMIC_INIT
#define ATOMIC_INIT(n)		{ n }
#define atomic_inc_return(v)		(atomic_fetch_add(1, v) + 1)
#define atomic_fetch_inc_release(v)	atomic_fetch_add(1, v)
#define atomic64_read			atomic_read
#define atomic64_read_acquire		atomic_read
#define atomic64_set			atomic_set
#define atomic64_set_release		atomic_set
#define atomic64_try_cmpxchg		atomic_try_cmpxchg
#define atomic64_inc			atomic_inc
#define atomic64_add(n, v)		((void)atomic_fetch_add(n, v))
#define atomic64_add_return(n, v)	(atomic_fetch_add(n, v) + (n))
#define atomic64_or			atomic_or
#define atomic64_andnot			atomic_andnot
#define atomic64_xchg(v, n)		xchg(&(v)->counter, n)

#undef test_bit
#undef set_bit
#undef clear_bit
#define test_bit(n, map)	(READ_ONCE((map)[(n) / BITS_PER_LONG]) >> (n) % BITS_PER_LONG & 1)
#define set_bit(n, map)		({ shared(&(map)[(n) / BITS_PER_LONG]); __set_bit(n, map); })
#define clear_bit(n, map)	({ shared(&(map)[(n) / BITS_PER_LONG]); __clear_bit(n, map); })

/*
 * CPUs, time, context
 */

#ifndef MODEL_CPUS
#define MODEL_CPUS	4
#endif
#define nr_cpu_ids	MODEL_CPUS
unsigned int model_cpu(void);
unsigned int __real_model_cpu(void);	/* in time.c, which wraps it */
unsigned int __wrap_model_cpu(void);
#define for_each_possible_cpu(cpu)	for (cpu = 0; cpu < MODEL_CPUS; cpu++)
#define MODEL_CPU_SIZE	192	/* the most that one CPU's variables may take */
#define per_cpu_ptr(p, cpu)						\
	((__typeof__(p))((char *)(p) + (cpu) * MODEL_CPU_SIZE))
#define raw_smp_processor_id	model_cpu
#define raw_cpu_ptr(p)		per_cpu_ptr(p, model_cpu())
#define this_cpu_add(x, n)						\
({									\
	__typeof__(x) *here_ = raw_cpu_ptr(&(x));			\
	shared(here_);							\
	*here_ += (n);							\
})
#define this_cpu_inc(x)		this_cpu_add(x, 1)

extern unsigned long jiffies;
#define time_after(a, b)	((long)((b) - (a)) < 0)
#define time_before(a, b)	time_after(b, a)
#define time_before_eq(a, b)	((long)((b) - (a)) >= 0)
#define MAX_SCHEDULE_TIMEOUT	LONG_MAX

void might_sleep(void);
#define might_sleep_if(c)	do { if (c) might_sleep(); } while (0)
u64 get_random_u64(void);

/*
 * Memory
 */

#define __GFP_NOWARN	0u
#define __GFP_NORETRY	0u
#define gfpflags_allow_blocking(gfp)	((gfp) == GFP_KERNEL)
#define might_alloc(gfp)	do { if (gfpflags_allow_blocking(gfp)) might_sleep(); } while (0)

void *model_alloc(size_t size, gfp_t gfp);
void *model_alloc_per_cpu(gfp_t gfp);
void model_free(const void *p);
#define kzalloc		model_alloc
#define kcalloc(n, size, gfp)	model_alloc((n) * (size), gfp)
#define kvzalloc	model_alloc
#define kfree		model_free
#define kvfree		model_free
#define alloc_percpu_gfp(T, gfp)					\
({									\
	_Static_assert(sizeof(T) <= MODEL_CPU_SIZE, "too large");	\
	(T *)model_alloc_per_cpu(gfp);		\
})
#define free_percpu	model_free

/*
 * RCU
 */

struct rcu_head {
	void (*func)(struct rcu_head *rcu);
};

void rcu_read_lock(void);
void rcu_read_unlock(void);
void model_rcu_access(void);
void call_rcu(struct rcu_head *rcu, void (*func)(struct rcu_head *rcu));
void rcu_barrier(void);
#undef synchronize_rcu
#ifdef ALONE
#define synchronize_rcu()	might_sleep()
#else
void synchronize_rcu(void);
#endif
void model_free_rcu(void *p);
#define kfree_rcu(p, rcu)	model_free_rcu(p)
#define kvfree_rcu(p, rcu)	model_free_rcu(p)
#define rcu_dereference(p)	({ model_rcu_access(); READ_ONCE(p); })
#define rcu_access_pointer(p)	READ_ONCE(p)
#define rcu_dereference_protected(p, c)	(p)
#define rcu_assign_pointer(p, v)	WRITE_ONCE(p, v)
#define RCU_INIT_POINTER(p, v)	((p) = (v))
#define list_add_tail_rcu	list_add_tail
#define list_del_rcu		list_del
#define list_for_each_entry_rcu	list_for_each_entry
#define hlist_add_head_rcu	hlist_add_head
#define hlist_del_init_rcu	hlist_del_init
#define hlist_for_each_entry_rcu	hlist_for_each_entry

/*
 * Locks and waiting
 */

typedef struct { int owner; } raw_spinlock_t;	/* 0: nobody */

void raw_spin_lock_init(raw_spinlock_t *lock);
void model_lock(raw_spinlock_t *lock, const char *function, int line);
void model_unlock(raw_spinlock_t *lock);
bool lockdep_is_held(const raw_spinlock_t *lock);
#define raw_spin_lock_irqsave(lock, flags)	((flags) = 0, model_lock(lock, __func__, __LINE__))
#define raw_spin_unlock_irqrestore(lock, flags)	((void)(flags), model_unlock(lock))
/* It is taken in interrupts, too. */
#define raw_spin_lock(lock)	broken("%s() leaves interrupts on", __func__)
#define raw_spin_unlock(lock)	model_unlock(lock)
#define lockdep_assert_held(lock)					\
	do { if (!lockdep_is_held(lock)) broken("%s() without the lock", __func__); } while (0)

#define ERESTARTSYS	512

struct completion { unsigned int done; };

void init_completion(struct completion *c);
void complete(struct completion *c);
void complete_all(struct completion *c);
bool completion_done(struct completion *c);
void wait_for_completion(struct completion *c);
unsigned long wait_for_completion_timeout(struct completion *c, unsigned long timeout);
long wait_for_completion_killable_timeout(struct completion *c, unsigned long timeout);

struct work_struct { void (*func)(struct work_struct *work); };
struct delayed_work {
	struct work_struct work;
	bool pending;
	bool running;
	unsigned long due;
};

#define INIT_DELAYED_WORK(w, f)	((w)->work.func = (f))
#define to_delayed_work(w)	container_of(w, struct delayed_work, work)
void schedule_delayed_work(struct delayed_work *w, unsigned long delay);
void cancel_delayed_work(struct delayed_work *w);
void cancel_delayed_work_sync(struct delayed_work *w);

/*
 * Tracepoints and debugfs: in the model, for its own checks.  The fuzzers have none.
 */

#ifdef ALONE
#define model_flags(v)		do { } while (0)
#define model_event(...)	do { } while (0)
#define model_traces()		false
#else
void model_flags(const void *v);
void model_event(const char *event, ...);
bool model_traces(void);
#endif

#define DECLARE_EVENT_CLASS(...)
#define DEFINE_EVENT(class, event, proto, args)				\
	static inline void trace_##event(proto) { model_event(#event, args); } \
	static inline bool trace_##event##_enabled(void) { return model_traces(); }
#define TRACE_EVENT(event, proto, args, ...)				\
	DEFINE_EVENT(event, event, TP_PROTO(proto), TP_ARGS(args))
#define TP_PROTO(...)	__VA_ARGS__
#define TP_ARGS(...)	__VA_ARGS__
#define pr_warn(...)		do { } while (0)
#define pr_warn_ratelimited(...)	do { } while (0)

struct dentry;
struct inode { void *i_private; };
struct seq_file {
	char *buf;
	size_t size, count;
	void *private;
};

struct seq_operations {
	void *(*start)(struct seq_file *m, loff_t *pos);
	void *(*next)(struct seq_file *m, void *v, loff_t *pos);
	void (*stop)(struct seq_file *m, void *v);
	int (*show)(struct seq_file *m, void *v);
};

struct file { void *private_data; };
struct file_operations {
	void *owner;
	int (*open)(struct inode *inode, struct file *file);
	ssize_t (*write)(struct file *file, const char *buf, size_t count, loff_t *pos);
	void *read, *llseek, *release;
};

#define KBUILD_MODNAME	"midatlas"
#define THIS_MODULE	NULL
#define SEQ_START_TOKEN	((void *)1)
#define seq_read	NULL
#define seq_lseek	NULL
#define seq_release_private	NULL
#ifdef ALONE
static inline void seq_printf(struct seq_file *m, const char *fmt, ...) { }
#define __seq_open_private(file, ops, size)	((void)(ops), NULL)
#define debugfs_create_file(name, mode, parent, data, fops)	((void)(fops))
#define INIT_WORK(w, f)		((w)->func = (f))
#else
void seq_printf(struct seq_file *m, const char *fmt, ...);
void *model_seq_open(const struct seq_operations *ops, size_t size);
void model_create_file(const char *name, void *data, const struct file_operations *fops);
void model_init_work(struct work_struct *w, void (*func)(struct work_struct *w));
#define __seq_open_private(file, ops, size)	model_seq_open(ops, size)
#define debugfs_create_file(name, mode, parent, data, fops)	model_create_file(name, data, fops)
#define INIT_WORK(w, f)		model_init_work(w, f)
#endif
static inline void seq_puts(struct seq_file *m, const char *s) { }
static inline void seq_putc(struct seq_file *m, char c) { }
static inline bool seq_has_overflowed(struct seq_file *m) { return false; }
#define single_open(file, show, data)	((void)(show), -ENOMEM)
#define single_release	NULL
#define DEFINE_SHOW_ATTRIBUTE(name)					\
	static int __attribute__((unused))				\
	(*name##_unused)(struct seq_file *, void *) = name##_show;	\
	static const struct file_operations name##_fops
#define jiffies_to_msecs(j)	((unsigned int)(j))
#define msecs_to_jiffies(ms)	((unsigned long)(ms))
#define schedule_timeout_killable(ticks)	((void)(ticks))
#define debugfs_create_dir(name, parent)	((struct dentry *)NULL)
#define debugfs_remove(dentry)	((void)(dentry))
#define schedule_work(w)	((void)(w))
#define cancel_work_sync(w)	((void)(w))
#define memalloc_noio_save()	0u
#define memalloc_noio_restore(flags)	((void)(flags))

/* Folders are made and removed in one step.  Their list is part of the state. */

#undef LIST_HEAD
#define LIST_HEAD(name)							\
	struct list_head name __attribute__((section("model_state"))) = LIST_HEAD_INIT(name)
#define DEFINE_SPINLOCK(name)	char name __attribute__((unused))
#define spin_lock_irqsave(lock, flags)		((flags) = 0)
#define spin_unlock_irqrestore(lock, flags)	((void)(flags))

/* Latency is never switched on. */

#define DEFINE_STATIC_KEY_FALSE(name)	const bool name
#define static_branch_unlikely(key)	(*(key))
#define static_branch_inc(key)	((void)(key))
#define static_branch_dec(key)	((void)(key))
struct mutex { bool locked; };
#define DEFINE_MUTEX(name)	struct mutex name __attribute__((unused))
#define mutex_lock(mutex)	((void)(mutex))
#define mutex_unlock(mutex)	((void)(mutex))
#define alloc_percpu(what)	NULL
#define kstrtobool_from_user(buf, count, on)	(*(on) = false, 0)
#define ktime_get_mono_fast_ns()	0ull
#define jiffies64_to_nsecs(j)	((u64)(j) * NSEC_PER_MSEC)
#define NSEC_PER_MSEC	1000000ull
#define NSEC_PER_USEC	1000ull
#define div_u64(a, b)	((a) / (b))

#define TASK_COMM_LEN	16
struct task_struct {
	int pid;
	char comm[TASK_COMM_LEN];
	int (*fn)(void *data);
	void *data;
};

#define current		((struct task_struct *)NULL)
#define strscpy(to, from, size)	memcpy(to, from, size)

#endif /* _MODEL_KERNEL_H */

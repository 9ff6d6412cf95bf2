// SPDX-License-Identifier: GPL-2.0
/*
 * hold - keeps requests in flight on a cifs mount and times small reads meanwhile
 *
 *	hold notify DIR COUNT FILE READS
 *	hold lock LOCKED COUNT FILE READS
 *	hold keep LOCKED
 *	hold sat FILE TASKS SECONDS
 *
 * notify: COUNT threads wait for a change in DIR.  lock: COUNT threads each wait for a
 * lock on a byte of LOCKED, which a "hold keep" on another mount has locked.  When all
 * these requests are in flight, reads one page of FILE from the server READS times (at
 * least 20).  Prints the time of a read in ns: median, 99th percentile and average.
 * The fourth number is the CPU time of cifsd per read, also in ns: the median of the
 * batches, because the host may run another guest during some of them.
 *
 * sat: TASKS threads read the pages of FILE, each page of it one after the other, for SECONDS.
 * Prints the reads per second; the time of a read in ns: median, 99th percentile and longest;
 * the reads of the thread that made the fewest and of the one that made the most; and how many
 * threads starved: one that has made less than a tenth of the average.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define PAGE	4096
#define BATCH	20	/* reads between two readings of cifsd's clock */
#define PATIENCE 120	/* seconds */

/* As in the kernel's fs/smb/client/cifs_ioctl.h: a filter and a flag, packed */
#define CIFS_IOC_NOTIFY	_IOW(0xcf, 9, unsigned char[5])

static int held;	/* file descriptor that the threads wait on */
static bool locks;	/* they wait for a lock, else for a change */

static void die(const char *what)
{
	fprintf(stderr, "hold: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void *hold_one(void *arg)
{
	unsigned char security_changes[5] = { 0x00, 0x01 };
	struct flock lock = {
		.l_type = F_WRLCK,
		.l_start = (long)arg,
		.l_len = 1,
	};

	if (locks)
		fcntl(held, F_SETLKW, &lock);
	else
		ioctl(held, CIFS_IOC_NOTIFY, security_changes);
	die("a request that was to wait has ended");
	return NULL;
}

static int keep(const char *file)
{
	struct flock lock = { .l_type = F_WRLCK };
	int fd = open(file, O_RDWR);

	if (fd < 0 || fcntl(fd, F_SETLK, &lock))
		die(file);
	puts("kept");
	fflush(stdout);
	return pause();
}

static void hold_all(long count)
{
	pthread_attr_t attr;
	pthread_t thread;
	long i;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, PTHREAD_STACK_MIN);
	for (i = 0; i < count; i++) {
		errno = pthread_create(&thread, &attr, hold_one, (void *)i);
		if (errno)
			die("pthread_create");
	}
}

/* The number of requests in flight of all cifs connections */
static long in_flight(void)
{
	FILE *stats = fopen("/proc/fs/cifs/Stats", "r");
	char line[256];
	long n = -1;

	if (!stats)
		die("/proc/fs/cifs/Stats");
	while (n < 0 && fgets(line, sizeof(line), stats))
		sscanf(line, "Operations (MIDs): %ld", &n);
	fclose(stats);
	return n;
}

static void await(long count)
{
	int tries = PATIENCE * 20;

	while (in_flight() < count) {
		if (!tries--) {
			errno = ETIMEDOUT;
			die("the requests do not get in flight");
		}
		usleep(50000);
	}
	sleep(1);
}

static long now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000L + ts.tv_nsec;
}

/* Stores the CPU clocks of the receiver threads, and returns their number. */
static int cifsd_clocks(clockid_t *clocks, int max)
{
	FILE *stats = popen("cat /proc/[0-9]*/stat 2>/dev/null", "r");
	char line[1024];
	int n = 0;

	while (n < max && fgets(line, sizeof(line), stats)) {
		if (!strstr(line, "(cifsd)"))
			continue;
		if (clock_getcpuclockid(atoi(line), &clocks[n]))
			die("a CPU clock of cifsd");
		n++;
	}
	pclose(stats);
	return n;
}

/* Their total CPU time, in ns */
static long cifsd_time(const clockid_t *clocks, int n)
{
	struct timespec ts;
	long total = 0;

	while (n--) {
		if (clock_gettime(clocks[n], &ts))
			die("a CPU clock of cifsd");
		total += ts.tv_sec * 1000000000L + ts.tv_nsec;
	}
	return total;
}

static long *took_all;	/* sat: the times of all reads */
static long most_reads;	/* sat: the space there for each thread */
static long deadline;	/* sat: when the threads end */

/* Reads pages of the file @held until @deadline.  Returns how many, as a pointer. */
static void *read_pages(void *arg)
{
	long *took = took_all + (long)arg * most_reads;
	long start = now(), n = 0;
	void *page;

	if (posix_memalign(&page, PAGE, PAGE))
		die("memory");
	while (start < deadline && n < most_reads) {
		if (pread(held, page, PAGE, (long)arg % 16 * PAGE) != PAGE)
			die("read");
		took[n++] = now() - start;
		start += took[n - 1];
	}
	return (void *)n;
}

static int compare(const void *a, const void *b)
{
	long x = *(const long *)a, y = *(const long *)b;

	return (x > y) - (x < y);
}

static int saturate(const char *file, long tasks, long seconds)
{
	pthread_t threads[tasks];
	long i, n, sum = 0, least = LONG_MAX, most = 0, starved = 0, reads[tasks];

	most_reads = 20000;
	took_all = calloc(tasks * most_reads, sizeof(*took_all));
	held = open(file, O_RDONLY | O_DIRECT);
	if (!took_all || held < 0)
		die(file);
	deadline = now() + seconds * 1000000000L;
	for (i = 0; i < tasks; i++) {
		errno = pthread_create(&threads[i], NULL, read_pages, (void *)i);
		if (errno)
			die("pthread_create");
	}
	for (i = 0; i < tasks; i++) {
		pthread_join(threads[i], (void **)&n);
		memmove(took_all + sum, took_all + i * most_reads, n * sizeof(*took_all));
		sum += n;
		reads[i] = n;
		least = n < least ? n : least;
		most = n > most ? n : most;
	}
	for (i = 0; i < tasks; i++)
		starved += reads[i] * 10 < sum / tasks;
	qsort(took_all, sum, sizeof(*took_all), compare);
	printf("%ld %ld %ld %ld %ld %ld %ld\n", sum / seconds, took_all[sum / 2],
	       took_all[sum * 99 / 100], took_all[sum - 1], least, most, starved);
	return 0;
}

static void measure(const char *file, long reads)
{
	int fd = open(file, O_RDONLY | O_DIRECT);
	long i, start, later, used, sum = 0, *took, *cpu;
	clockid_t clocks[8];
	int n = cifsd_clocks(clocks, 8);
	void *page;

	took = calloc(reads, sizeof(*took));
	cpu = calloc(reads / BATCH, sizeof(*cpu));
	if (!took || !cpu || posix_memalign(&page, PAGE, PAGE))
		die("memory");
	if (fd < 0)
		die(file);

	used = cifsd_time(clocks, n);
	for (i = 0; i < reads; i++) {
		start = now();
		if (pread(fd, page, PAGE, 0) != PAGE)
			die("read");
		took[i] = now() - start;
		sum += took[i];
		if (i % BATCH == BATCH - 1) {
			later = cifsd_time(clocks, n);
			cpu[i / BATCH] = (later - used) / BATCH;
			used = later;
		}
	}

	qsort(took, reads, sizeof(*took), compare);
	qsort(cpu, reads / BATCH, sizeof(*cpu), compare);
	printf("%ld %ld %ld %ld\n", took[reads / 2], took[reads * 99 / 100],
	       sum / reads, cpu[reads / BATCH / 2]);
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "keep"))
		return keep(argv[2]);
	if (argc == 5 && !strcmp(argv[1], "sat") && atol(argv[3]) > 0 && atol(argv[4]) > 0)
		return saturate(argv[2], atol(argv[3]), atol(argv[4]));
	if (argc != 6 || (strcmp(argv[1], "notify") && strcmp(argv[1], "lock")) ||
	    atol(argv[3]) < 0 || atol(argv[5]) < BATCH) {
		fprintf(stderr, "usage: hold notify|lock HELD COUNT FILE READS\n"
			"       hold keep HELD\n"
			"       hold sat FILE TASKS SECONDS\n");
		return 2;
	}

	locks = !strcmp(argv[1], "lock");
	held = open(argv[2], locks ? O_RDWR : O_RDONLY);
	if (held < 0)
		die(argv[2]);
	hold_all(atol(argv[3]));
	await(atol(argv[3]));
	measure(argv[4], atol(argv[5]));
	fflush(stdout);
	_exit(0);
}

/* SPDX-License-Identifier: MIT */
/*
 * control_cpu.c - the control files that concern the CPU (doc/scheduling.md):
 * cpu.weight, cpu.max, cpuset.cpus, cpu.stat, sched.policy, sched.log, sched.state.
 * Names, units and defaults are cgroup v2's where it has them.
 *
 * A value is parsed whole before anything changes.
 */
#include "container/control.h"
#include "core/errno.h"
#include "core/mutex.h"
#include "lib/string.h"
#include "proc/sched.h"

#define QUOTA_MAX_USEC (1ull << 40)

typedef unsigned long long ull;

/* --- cpu.weight, cpu.max --- */

int show_cpu_weight(void *object, struct text *t)
{
	struct container *c = object;

	text_printf(t, "%u\n", READ_ONCE(c->cpu->weight));
	return 0;
}

int store_cpu_weight(void *object, char *s, size_t n)
{
	struct container *c = object;
	u64 weight;

	if (parse_u64(s, &weight) || weight < WEIGHT_MIN || weight > WEIGHT_MAX)
		return -EINVAL;
	sched_group_set_weight(c->cpu, weight);
	return 0;
}

int show_cpu_max(void *object, struct text *t)
{
	struct container *c = object;
	struct sched_limit *l = &c->cpu->limit;
	ktime_t quota, period;

	spin_lock(&l->lock);
	quota = l->quota;
	period = l->period;
	spin_unlock(&l->lock);
	if (quota)
		text_printf(t, "%llu ", (ull)quota / NSEC_PER_USEC);
	else
		text_printf(t, "max ");
	text_printf(t, "%llu\n", (ull)period / NSEC_PER_USEC);
	return 0;
}

/* "QUOTA", "QUOTA PERIOD", "max" or "max PERIOD", in microseconds. */
int store_cpu_max(void *object, char *s, size_t n)
{
	struct container *c = object;
	char *space = strchr(s, ' ');
	u64 quota = 0, period = READ_ONCE(c->cpu->limit.period) / NSEC_PER_USEC;
	bool none;

	if (space)
		*space = 0;
	none = !strcmp(s, "max");
	if (!none && (parse_u64(s, &quota) || quota > QUOTA_MAX_USEC))
		return -EINVAL;
	if (space && (parse_u64(space + 1, &period) || period > QUOTA_MAX_USEC))
		return -EINVAL;
	return sched_limit_set(&c->cpu->limit,
			       none ? KTIME_NEVER : (ktime_t)(quota * NSEC_PER_USEC),
			       period * NSEC_PER_USEC);
}

/* --- cpuset.cpus --- */

static struct mutex cpuset_lock = MUTEX_INIT(cpuset_lock, RANK_MUTEX_LEAF); /* G */

void cpu_list_print(struct text *t, u64 mask)
{
	const char *comma = "";

	while (mask) {
		unsigned from = __builtin_ctzll(mask), to = from;

		while (to < CPU_MAX - 1 && mask >> (to + 1) & 1)
			to++;
		if (to > from)
			text_printf(t, "%s%u-%u", comma, from, to);
		else
			text_printf(t, "%s%u", comma, from);
		mask = to == CPU_MAX - 1 ? 0 : mask >> (to + 1) << (to + 1);
		comma = ",";
	}
	text_printf(t, "\n");
}

/* "0-3,5". Empty: 0. -EINVAL, also for CPUs that do not exist. */
static int cpu_list_parse(char *s, u64 *mask)
{
	*mask = 0;
	while (*s) {
		char *end = strchr(s, ','), *dash;
		u64 from, to;

		if (end)
			*end = 0;
		dash = strchr(s, '-');
		if (dash)
			*dash = 0;
		if (parse_u64(s, &from) || parse_u64(dash ? dash + 1 : s, &to) || from > to ||
		    to >= cpu_count)
			return -EINVAL;
		for (; from <= to; from++)
			*mask |= BIT(from);
		if (end && !end[1])
			return -EINVAL;
		s = end ? end + 1 : "";
	}
	return 0;
}

int show_cpuset(void *object, struct text *t)
{
	struct container *c = object;

	cpu_list_print(t, READ_ONCE(c->cpu->cpus));
	return 0;
}

int show_cpuset_effective(void *object, struct text *t)
{
	struct container *c = object;

	cpu_list_print(t, READ_ONCE(c->cpu->allowed) & cpus_online());
	return 0;
}

static void confine_threads(struct container *c)
{
	struct process *p;
	struct task *t;

	for (u32 pid = 1; !process_next_in(&c->pids, &pid, &p); pid++) {
		spin_lock(&tree_lock);
		if (p->pids == &c->pids)
			list_for_each (t, &p->threads, thread_node)
				sched_confine_to_group(t);
		spin_unlock(&tree_lock);
		process_put(p);
		resched_point();
	}
}

/* G. A parent's id is less than its children's, so theirs are right before. */
static void cpuset_apply(struct container *c)
{
	struct container *below;

	confine_threads(c);
	for (u32 id = 1; container_next(&c->owner, &id, &below); id++) {
		sched_group_set_cpus(below->cpu, below->cpu->cpus);
		confine_threads(below);
		container_put(below);
	}
}

int store_cpuset(void *object, char *s, size_t n)
{
	struct container *c = object;
	u64 mask;

	if (cpu_list_parse(s, &mask))
		return -EINVAL;
	if (mutex_lock_killable(&cpuset_lock))
		return -EINTR;
	sched_group_set_cpus(c->cpu, mask);
	cpuset_apply(c);
	mutex_unlock(&cpuset_lock);
	return 0;
}

void container_inherit_cpus(struct container *c)
{
	mutex_lock(&cpuset_lock);
	sched_group_set_cpus(c->cpu, c->cpu->cpus);
	mutex_unlock(&cpuset_lock);
}

/* --- cpu.stat --- */

static void faults_of(struct container *c, u64 *minor, u64 *major)
{
	struct process *p;
	struct task *t;

	spin_lock(&c->lock);
	*minor = c->dead_minor_faults;
	*major = c->dead_major_faults;
	spin_unlock(&c->lock);
	for (u32 pid = 1; !process_next_in(&c->pids, &pid, &p); pid++) {
		spin_lock(&p->signal_lock);
		if (p->pids == &c->pids && p->state == PROCESS_ALIVE) {
			*minor += p->dead_minflt;
			*major += p->dead_majflt;
			list_for_each (t, &p->threads, thread_node) {
				*minor += t->minor_faults;
				*major += t->major_faults;
			}
		}
		spin_unlock(&p->signal_lock);
		process_put(p);
		resched_point();
	}
}

int show_cpu_stat(void *object, struct text *t)
{
	struct container *c = object;
	struct sched_group *g = c->cpu;
	struct sched_usage u;
	u64 periods, throttled, minor, major;
	ktime_t held;

	sched_group_usage(g, &u);
	sched_limit_stat(&g->limit, &periods, &throttled, &held);
	faults_of(c, &minor, &major);
	text_printf(t, "usage_usec %llu\nuser_usec %llu\nsystem_usec %llu\n",
		    (ull)(u.user + u.system) / NSEC_PER_USEC, (ull)u.user / NSEC_PER_USEC,
		    (ull)u.system / NSEC_PER_USEC);
	text_printf(t, "nr_periods %llu\nnr_throttled %llu\nthrottled_usec %llu\n", (ull)periods,
		    (ull)throttled, (ull)held / NSEC_PER_USEC);
	text_printf(t, "nr_voluntary_switches %llu\nnr_involuntary_switches %llu\n",
		    (ull)u.voluntary, (ull)u.involuntary);
	text_printf(t, "minor_faults %llu\nmajor_faults %llu\n", (ull)minor, (ull)major);
	text_printf(t, "nr_lent %llu\n", (ull)READ_ONCE(g->lent));
	text_printf(t, "manager_picks %llu\nmanager_fallbacks %llu\nmanager_stalls %llu\n",
		    (ull)READ_ONCE(g->manager_picks), (ull)READ_ONCE(g->manager_fallbacks),
		    (ull)READ_ONCE(g->manager_stalls));
	return 0;
}

/* --- sched.* --- */

void container_set_policy(struct container *c, const struct sched_policy *p)
{
	mutex_lock(&cpuset_lock);
	sched_group_set_policy(c->cpu, p);
	mutex_unlock(&cpuset_lock);
}

int show_sched_policy(void *object, struct text *t)
{
	struct container *c = object;

	text_printf(t, "%s\n", READ_ONCE(c->cpu->policy)->name);
	return 0;
}

int store_sched_policy(void *object, char *s, size_t n)
{
	struct container *c = object;
	const struct sched_policy *p = sched_policy_find(s);

	if (!p)
		return -EINVAL;
	container_set_policy(c, p);
	return 0;
}

int show_sched_log(void *object, struct text *t)
{
	struct container *c = object;

	text_printf(t, "%d\n", READ_ONCE(c->cpu->log));
	return 0;
}

int store_sched_log(void *object, char *s, size_t n)
{
	struct container *c = object;

	if (strcmp(s, "0") && strcmp(s, "1"))
		return -EINVAL;
	WRITE_ONCE(c->cpu->log, *s == '1');
	return 0;
}

/*
 * One line each: pid, V state, CPU, nice, voluntary and involuntary switches, minor and major
 * faults. The V state is what the container's policy sees.
 */
int show_sched_state(void *object, struct text *t)
{
	struct container *c = object;
	struct process *p;

	for (u32 pid = 1; !process_next_in(&c->pids, &pid, &p); pid++) {
		struct process_sched s;

		process_sched_state(p, &s);
		process_put(p);
		text_printf(t, "%u %c %u %d %llu %llu %llu %llu\n", pid, s.state, s.cpu, s.nice,
			    (ull)s.voluntary, (ull)s.involuntary, (ull)s.minor_faults,
			    (ull)s.major_faults);
		resched_point();
	}
	return 0;
}

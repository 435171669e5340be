/* SPDX-License-Identifier: MIT */
/*
 * filter_text.c - the rules of a filter as people write them:
 *
 *	rules  = [rule {separator rule}]       separators: spaces, tabs, newlines, commas
 *	rule   = call ["=" ["log+"] action]    without an action: EPERM
 *	call   = a name of abi/syscall.tbl | "all"
 *	action = "allow" | "log" | "notify" | "kill" | the name of an errno
 *
 * "mkdir=EPERM unlink=kill open=notify ptrace=log". Of several rules for a call the
 * last counts, so "all=EPERM read=allow" is a list of what is allowed.
 *
 * exit and exit_group cannot be answered by anything but the end, which no C library is
 * prepared for the lack of: a process that may not end calls them for ever. So "all" with
 * an errno or notify leaves them out, and by name that is -EINVAL.
 */
#include "container/filter.h"
#include "core/errno.h"
#include "fs/pseudo.h"
#include "lib/string.h"
#include "mm/slab.h"

#define SEPARATORS " \t\n,"

static int action_parse(const char *s, u16 *rule)
{
	int err;

	*rule = 0;
	if (!strncmp(s, "log+", 4)) {
		*rule = FILTER_LOG;
		s += 4;
	}
	if (!strcmp(s, "allow"))
		return 0;
	if (!strcmp(s, "log"))
		*rule |= FILTER_LOG;
	else if (!strcmp(s, "notify"))
		*rule |= FILTER_RULE(FILTER_NOTIFY, 0);
	else if (!strcmp(s, "kill"))
		*rule |= FILTER_RULE(FILTER_KILL, 0);
	else if ((err = errno_parse(s)))
		*rule |= FILTER_RULE(FILTER_ERRNO, err);
	else
		return -EINVAL;
	return 0;
}

/* May the call at index be answered with something else than what it does? */
static bool call_has_answer(unsigned index)
{
	const char *name = syscall_name_at(index);

	return !name || (strcmp(name, "exit") && strcmp(name, "exit_group"));
}

static bool rule_fits(u16 rule, unsigned index)
{
	enum filter_kind kind = FILTER_KIND(rule);

	return (kind != FILTER_ERRNO && kind != FILTER_NOTIFY) || call_has_answer(index);
}

static int rule_parse(struct filter_table *t, char *word)
{
	char *equals = strchr(word, '=');
	unsigned index;
	u16 rule;

	if (equals)
		*equals = 0;
	if (action_parse(equals ? equals + 1 : "EPERM", &rule))
		return -EINVAL;
	if (!strcmp(word, "all")) {
		for (unsigned i = 0; i < SYSCALL_TABLE_SIZE; i++)
			if (rule_fits(rule, i))
				t->rule[i] = rule;
		return 0;
	}
	index = syscall_find(word);
	if (index == SYSCALL_TABLE_SIZE || !rule_fits(rule, index))
		return -EINVAL;
	t->rule[index] = rule;
	return 0;
}

static bool table_is_empty(const struct filter_table *t)
{
	for (unsigned i = 0; i < SYSCALL_TABLE_SIZE; i++)
		if (t->rule[i])
			return false;
	return true;
}

static int rules_parse(struct filter_table *t, char *s)
{
	int err = 0;

	while (!err) {
		char *end;

		while (*s && strchr(SEPARATORS, *s))
			s++;
		if (!*s)
			break;
		for (end = s; *end && !strchr(SEPARATORS, *end); end++)
			;
		if (*end)
			*end++ = 0;
		err = rule_parse(t, s);
		s = end;
	}
	return err;
}

int filter_parse(char *s, struct filter_table **out)
{
	struct filter_table *t = kmalloc(sizeof(*t), KM_ZERO | KM_ACCOUNT);
	int err;

	if (!t)
		return -ENOMEM;
	ref_init(&t->refs, 1);
	err = rules_parse(t, s);
	if (err || table_is_empty(t)) {
		kfree(t);
		t = NULL;
	}
	*out = t;
	return err;
}

static const char *action_name(u16 rule)
{
	static const char *const names[] = {
		[FILTER_ALLOW] = "log", /* a rule that allows is there because it records */
		[FILTER_NOTIFY] = "notify",
		[FILTER_KILL] = "kill",
	};
	enum filter_kind kind = FILTER_KIND(rule);

	return kind == FILTER_ERRNO ? errno_name(FILTER_ERRNO_OF(rule)) : names[kind];
}

void filter_print(const struct filter_table *t, struct text *out)
{
	const char *space = "";

	for (unsigned i = 0; t && i < SYSCALL_TABLE_SIZE; i++) {
		u16 rule = t->rule[i];
		bool logs = rule & FILTER_LOG && FILTER_KIND(rule) != FILTER_ALLOW;

		if (!rule || !syscall_name_at(i))
			continue;
		text_printf(out, "%s%s=%s%s", space, syscall_name_at(i), logs ? "log+" : "",
			    action_name(rule));
		space = " ";
	}
	text_append(out, "\n", 1);
}

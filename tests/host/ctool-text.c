/* SPDX-License-Identifier: MIT */
/*
 * ctool-text.c - sizes, signal names, tables, JSON, and the control files' parsers.
 *
 * The argument is a directory of control files that the script has made.
 */
#include <skerry/control.h>
#include <skerry/text.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int tests;

/* Of the system calls control.c needs this alone. */
int getcid(void)
{
	return 0;
}

static void ok(bool good, const char *name)
{
	printf("%sok %d - %s\n", good ? "" : "not ", ++tests, name);
}

static void test_sizes(void)
{
	static const struct {
		const char *text;
		int err;
		uint64_t value;
	} rows[] = {
		{ "0", 0, 0 },
		{ "512", 0, 512 },
		{ "4K", 0, 4096 },
		{ "16m", 0, 16 << 20 },
		{ "1G", 0, 1 << 30 },
		{ "2T", 0, 2ULL << 40 },
		{ "18446744073709551615", 0, UINT64_MAX },
		{ "18446744073709551616", -ERANGE, 7 },
		{ "17179869184G", -ERANGE, 7 },
		{ "", -EINVAL, 7 },
		{ "-1", -EINVAL, 7 },
		{ " 1", -EINVAL, 7 },
		{ "K", -EINVAL, 7 },
		{ "1KB", -EINVAL, 7 },
		{ "1.5G", -EINVAL, 7 },
		{ "0x10", -EINVAL, 7 },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		uint64_t n = 7;
		char name[64];
		int err = size_parse(rows[i].text, &n);

		snprintf(name, sizeof name, "size_parse \"%s\"", rows[i].text);
		ok(err == rows[i].err && n == rows[i].value, name);
	}
}

static void test_formats(void)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} rows[] = {
		{ 0, "0" },	      { 999, "999" },	      { 1000, "1.0K" },
		{ 1023, "1.0K" },     { 1536, "1.5K" },	      { 10200, "10K" },
		{ 16 << 20, "16M" },  { 1000 << 10, "1.0M" }, { 1 << 30, "1G" },
		{ 5ULL << 40, "5T" }, { UINT64_MAX, "max" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char text[SIZE_TEXT], name[64];

		snprintf(name, sizeof name, "size_format %s", rows[i].text);
		ok(!strcmp(size_format(rows[i].bytes, text), rows[i].text), name);
	}
}

static void test_signals(void)
{
	int sig = 0;

	ok(!signal_parse("TERM", &sig) && sig == 15, "signal TERM");
	ok(!signal_parse("sigkill", &sig) && sig == 9, "signal sigkill");
	ok(!signal_parse("64", &sig) && sig == 64, "signal 64");
	ok(signal_parse("65", &sig) == -EINVAL && sig == 64, "no signal 65");
	ok(signal_parse("0", &sig) && signal_parse("", &sig) && signal_parse("SIG", &sig),
	   "no signal 0, empty, SIG");
}

/* What `write` prints. */
static char *printed(void (*write)(FILE *))
{
	char *text;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	write(f);
	fclose(f);
	return text;
}

static void write_json(FILE *f)
{
	struct json j;

	json_init(&j, f);
	json_open(&j, NULL, '[');
	json_open(&j, NULL, '{');
	json_string(&j, "q\"", "a\\b\n\t\x01\x7f");
	json_string(&j, "utf", "h\xc3\xa4 \xf0\x9f\x90\xb3");
	json_string(&j, "bad", "\xff \xc0\x80 \xed\xa0\x80 \xe2\x82");
	json_string(&j, "none", NULL);
	json_limit(&j, "max", UINT64_MAX);
	json_number(&j, "n", UINT64_MAX - 1);
	json_percent(&j, "p", 12.345);
	json_open(&j, "empty", '[');
	json_close(&j, ']');
	json_close(&j, '}');
	json_open(&j, NULL, '{');
	json_close(&j, '}');
	json_close(&j, ']');
}

static void test_json(void)
{
	static const char expected[] =
		"[{\"q\\\"\":\"a\\\\b\\n\\t\\u0001\\u007f\",\"utf\":\"h\xc3\xa4 \xf0\x9f\x90\xb3\","
		"\"bad\":\"\\ufffd \\ufffd\\ufffd \\ufffd\\ufffd\\ufffd "
		"\\ufffd\\ufffd\",\"none\":null,"
		"\"max\":null,\"n\":18446744073709551614,\"p\":12.3,\"empty\":[]},{}]";
	char *text = printed(write_json);

	ok(!strcmp(text, expected), "JSON is escaped and nested");
	if (strcmp(text, expected))
		printf("# got      %s\n# expected %s\n", text, expected);
	free(text);
}

static void write_table(FILE *f)
{
	struct table t;

	table_init(&t, "rl");
	table_add(&t, "%s", "ID");
	table_add(&t, "%s", "NAME");
	table_add(&t, "%d", 1000);
	table_add(&t, "%s", "a\033[Hb");
	table_print(&t, f);
}

static void test_table(void)
{
	char *text = printed(write_table);

	ok(!strcmp(text, "  ID  NAME\n1000  a?[Hb\n"), "a table is aligned and harmless");
	free(text);
}

static void test_control(void)
{
	struct control_process *p;
	enum container_state state;
	size_t count;
	uint64_t n;
	int *ids, id;

	ok(!control_list(&ids, &count) && count == 2 && ids[0] == 9 && ids[1] == 10,
	   "control_list: ascending, without 0 and self");
	free(ids);
	ok(!control_find("10", &id) && id == 10, "find by id");
	ok(!control_find("web", &id) && id == 9, "find by name");
	ok(control_find("0", &id) == -ESRCH && control_find("1", &id) == -ESRCH &&
		   control_find("", &id) == -ESRCH && control_find("../9", &id) == -ESRCH,
	   "what is not there is not found");
	ok(!control_number(9, "pids.max", &n) && n == UINT64_MAX, "max");
	ok(!control_keyed(9, "cpu.stat", "user_usec", &n) && n == 30, "a key");
	ok(control_keyed(9, "cpu.stat", "usage", &n) == -ENOENT, "half a key");
	ok(!control_state(9, &state) && state == CONTAINER_PAUSED, "state");
	ok(control_state(11, &state) == -ENOENT, "state of nobody");
	ok(!control_processes(9, &p, &count) && count == 2, "two good lines of procs");
	ok(count == 2 && p[0].pid == 1 && p[0].state == 'S' && !strcmp(p[0].name, "a b) 1 2") &&
		   p[0].user_usec == 3 && p[0].system_usec == 4 && p[0].rss == 5,
	   "a name with blanks");
	ok(count == 2 && p[1].pid == 22 && !strcmp(p[1].name, "sh"), "a name without");
	free(p);
	ok(control_wait_stopped(9, 30) == -ETIMEDOUT, "wait with a time limit");
	ok(control_wait_stopped(10, -1) == 0, "wait for one that has stopped");
	ok(control_wait_stopped(11, -1) == -ENODEV, "wait for nobody");
}

int main(void)
{
	test_sizes();
	test_formats();
	test_signals();
	test_json();
	test_table();
	test_control();
	printf("1..%d\n", tests);
	return 0;
}

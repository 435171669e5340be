/* SPDX-License-Identifier: MIT */
/* files.c - a program in the style of xv6 for x86: files, directories, what stat and read give. */
#include "types.h"
#include "stat.h"
#include "user.h"
#include "fs.h"
#include "fcntl.h"

int failed;

void check(int good, char *what)
{
	if (good)
		return;
	printf(1, "files: not so: %s\n", what);
	failed = 1;
}

int find(char *dir, char *name)
{
	struct dirent de;
	int fd, found = 0;

	if ((fd = open(dir, 0)) < 0)
		return -1;
	while (read(fd, &de, sizeof(de)) == sizeof(de)) {
		if (de.inum == 0)
			continue;
		if (strlen(de.name) <= DIRSIZ && strcmp(de.name, name) == 0)
			found++;
	}
	close(fd);
	return found;
}

void many(void)
{
	char name[] = "d/f00";
	struct dirent de[3];
	int fd, i, n, total = 0;

	for (i = 0; i < 60; i++) {
		name[3] = '0' + i / 10;
		name[4] = '0' + i % 10;
		fd = open(name, O_CREATE | O_RDWR);
		check(fd >= 0, "create many");
		close(fd);
	}
	fd = open("d", O_RDONLY);
	while ((n = read(fd, de, sizeof(de))) > 0)
		total += n / sizeof(de[0]);
	close(fd);
	check(total == 62, "60 files, . and ..");
}

int main(int argc, char *argv[])
{
	struct stat st;
	char buf[32];
	int fd;

	check(mkdir("d") == 0, "mkdir");
	check(mkdir("d") < 0, "mkdir again");
	fd = open("d/one", O_CREATE | O_WRONLY);
	check(write(fd, "hello", 5) == 5, "write");
	close(fd);
	check(stat("d/one", &st) == 0 && st.type == T_FILE && st.size == 5 && st.nlink == 1,
	      "stat");
	check(link("d/one", "d/two") == 0, "link");
	check(stat("d/two", &st) == 0 && st.nlink == 2, "links");
	fd = open("d/two", O_RDONLY);
	check(read(fd, buf, sizeof(buf)) == 5 && memcmp(buf, "hello", 5) == 0, "read");
	check(read(fd, buf, sizeof(buf)) == 0, "end");
	check(fstat(fd, &st) == 0 && st.size == 5, "fstat");
	check(write(fd, "x", 1) < 0, "write to what is open for reading");
	close(fd);
	check(find("d", "one") == 1 && find("d", "two") == 1 && find("d", "three") == 0,
	      "directory");
	check(unlink("d") < 0, "unlink of what is not empty");
	check(unlink("d/one") == 0 && unlink("d/one") < 0, "unlink");
	check(unlink("d/two") == 0 && stat("d/two", &st) < 0, "gone");
	check(stat("d", &st) == 0 && st.type == T_DIR, "type of a directory");
	many();
	close(open("d/thirteen-long", O_CREATE | O_RDWR));
	check(find("d", "thirteen-long") == 1, "a name of 13 bytes");
	check(open("none", O_RDONLY) < 0, "open of nothing");
	check(chdir("d") == 0 && stat("f00", &st) == 0, "chdir");
	check(stat("/dev/null", &st) == 0 && st.type == T_DEV, "device");
	printf(1, failed ? "files: failed\n" : "files: ok %d %x %s%c\n", -5, 0xbeef, "yes", '!');
	exit();
}

/* SPDX-License-Identifier: MIT */
/* crashdisk.c - a disk in memory that remembers what a crash could leave of it (contract:
 * crashdisk.h). */
#include <stdlib.h>
#include <string.h>

#include "crashdisk.h"

static u64 sector_hash(u64 sector, const u8 *bytes)
{
	return mix2(cow_checksum(bytes, SECTOR), sector);
}

static u8 *block_of(u8 *bytes, u64 addr)
{
	return bytes + addr * COW_BLOCK;
}

/* --- lists --- */

static void list_add(struct crash_list *l, u64 addr, u32 epoch, const void *data)
{
	struct crash_write *w;

	if (l->count == l->room) {
		l->room = l->room ? 2 * l->room : 64;
		l->at = realloc(l->at, l->room * sizeof(*l->at));
		memset(l->at + l->count, 0, (l->room - l->count) * sizeof(*l->at));
	}
	w = &l->at[l->count++];
	w->addr = addr;
	w->epoch = epoch;
	if (!w->data)
		w->data = malloc(COW_BLOCK);
	memcpy(w->data, data, COW_BLOCK);
}

void crash_list_clear(struct crash_list *l)
{
	l->count = 0;
}

static void list_free(struct crash_list *l)
{
	for (u64 n = 0; n < l->room; n++)
		free(l->at[n].data);
	free(l->at);
	*l = (struct crash_list){ 0 };
}

/* --- the stable bytes --- */

static void stable_sector(struct crash_disk *d, u64 sector, const u8 *bytes)
{
	u8 *to = d->stable + sector * SECTOR;

	if (!memcmp(to, bytes, SECTOR))
		return;
	memcpy(to, bytes, SECTOR);
	d->hash -= d->sector[sector];
	d->sector[sector] = sector_hash(sector, bytes);
	d->hash += d->sector[sector];
}

static void stable_write(struct crash_disk *d, u64 addr, const u8 *bytes, u8 mask)
{
	for (u32 n = 0; n < COW_BLOCK / SECTOR; n++)
		if (mask & 1u << n)
			stable_sector(d, addr * (COW_BLOCK / SECTOR) + n, bytes + n * SECTOR);
}

/* The old bytes of a block, before a state first changes it. */
static void remember(struct crash_disk *d, u64 addr)
{
	if (d->touched[addr] == d->stamp)
		return;
	d->touched[addr] = d->stamp;
	list_add(&d->undo, addr, 0, block_of(d->stable, addr));
}

/* --- the live filesystem's platform --- */

static struct crash_disk *disk_of(struct cow_platform *p)
{
	return p->data;
}

static bool fails(struct crash_disk *d, enum crash_fault what)
{
	if (!d->fail_in[what] || --d->fail_in[what])
		return false;
	d->faults++;
	if (d->broken)
		d->fail_in[what] = 1;
	return true;
}

static int live_read(struct cow_platform *p, u64 addr, void *const *data, unsigned count)
{
	struct crash_disk *d = disk_of(p);

	if (fails(d, FAULT_READ))
		return -EIO;
	for (unsigned n = 0; n < count; n++)
		memcpy(data[n], block_of(d->view, addr + n), COW_BLOCK);
	return 0;
}

/* A write that fails may have come through in part, or not. */
static int live_write(struct cow_platform *p, u64 addr, const void *const *data, unsigned count)
{
	struct crash_disk *d = disk_of(p);
	bool failed = fails(d, FAULT_WRITE);

	for (unsigned n = 0; n < count; n++) {
		list_add(&d->pending, addr + n, 0, data[n]);
		if (!failed || rnd_one_in(&d->rnd, 2))
			memcpy(block_of(d->view, addr + n), data[n], COW_BLOCK);
	}
	return failed ? -EIO : 0;
}

static int live_flush(struct cow_platform *p)
{
	struct crash_disk *d = disk_of(p);

	if (d->before_flush)
		d->before_flush(d);
	if (fails(d, FAULT_FLUSH))
		return -EIO;
	for (u64 n = 0; n < d->pending.count; n++)
		stable_write(d, d->pending.at[n].addr, d->pending.at[n].data, SECTOR_MASK);
	crash_list_clear(&d->pending);
	if (d->after_flush)
		d->after_flush(d);
	return 0;
}

/* --- the platform of a state --- */

static int state_read(struct cow_platform *p, u64 addr, void *const *data, unsigned count)
{
	struct crash_disk *d = disk_of(p);

	for (unsigned n = 0; n < count; n++)
		memcpy(data[n], block_of(d->stable, addr + n), COW_BLOCK);
	return 0;
}

static int state_write(struct cow_platform *p, u64 addr, const void *const *data, unsigned count)
{
	struct crash_disk *d = disk_of(p);

	for (unsigned n = 0; n < count; n++) {
		remember(d, addr + n);
		if (d->recording)
			list_add(&d->recovery, addr + n, d->recovery_epoch, data[n]);
		stable_write(d, addr + n, data[n], SECTOR_MASK);
	}
	return 0;
}

static int state_flush(struct cow_platform *p)
{
	disk_of(p)->recovery_epoch++;
	return 0;
}

static const struct cow_disk_ops live_ops = { live_read, live_write, live_flush };
static const struct cow_disk_ops state_ops = { state_read, state_write, state_flush };

/* --- the disk --- */

void crash_disk_init(struct crash_disk *d, u64 blocks, u64 seed)
{
	u64 sectors = blocks * (COW_BLOCK / SECTOR);

	*d = (struct crash_disk){
		.blocks = blocks,
		.view = calloc(blocks, COW_BLOCK),
		.stable = calloc(blocks, COW_BLOCK),
		.sector = calloc(sectors, sizeof(u64)),
		.touched = calloc(blocks, sizeof(u32)),
		.stamp = 1,
		.rnd = { seed },
	};
	d->live = (struct cow_platform){
		.ops = &live_ops, .blocks = blocks, .quiet = true, .data = d, .name = "live"
	};
	d->state = (struct cow_platform){
		.ops = &state_ops, .blocks = blocks, .quiet = true, .data = d, .name = "state"
	};
	for (u64 n = 0; n < sectors; n++) {
		d->sector[n] = sector_hash(n, d->stable + n * SECTOR);
		d->hash += d->sector[n];
	}
}

void crash_disk_free(struct crash_disk *d)
{
	list_free(&d->pending);
	list_free(&d->undo);
	list_free(&d->recovery);
	free(d->view);
	free(d->stable);
	free(d->sector);
	free(d->touched);
}

/* Whole writes mostly, a torn one now and then; now and then nothing but torn ones. */
void crash_choose(struct rnd *r, u64 n, u8 *mask)
{
	u64 kind = rnd_below(r, 8), prefix = rnd_below(r, n + 1), odd = rnd_below(r, n);

	for (u64 k = 0; k < n; k++) {
		switch (kind) {
		case 0: /* a prefix, the last one torn */
			mask[k] = k < prefix ? SECTOR_MASK : k == prefix ? rnd_next(r) : 0;
			break;
		case 1: /* all but one */
			mask[k] = k == odd ? rnd_next(r) & rnd_next(r) : SECTOR_MASK;
			break;
		case 2: /* one only */
			mask[k] = k == odd ? SECTOR_MASK : 0;
			break;
		case 3:
			mask[k] = rnd_next(r);
			break;
		default:
			mask[k] = rnd_one_in(r, 2) ? SECTOR_MASK : 0;
			if (rnd_one_in(r, 8))
				mask[k] = rnd_next(r);
		}
	}
}

void crash_apply(struct crash_disk *d, const struct crash_list *l, u64 n, const u8 *mask)
{
	for (u64 k = 0; k < n; k++) {
		if (!mask[k])
			continue;
		remember(d, l->at[k].addr);
		stable_write(d, l->at[k].addr, l->at[k].data, mask[k]);
	}
}

void crash_poke(struct crash_disk *d, u64 addr, const void *block)
{
	remember(d, addr);
	stable_write(d, addr, block, SECTOR_MASK);
}

void crash_undo(struct crash_disk *d)
{
	for (u64 n = d->undo.count; n--;)
		stable_write(d, d->undo.at[n].addr, d->undo.at[n].data, SECTOR_MASK);
	crash_list_clear(&d->undo);
	d->stamp++;
}

/* A write that failed came through after all. */
void crash_reset(struct crash_disk *d)
{
	for (u64 n = 0; n < d->pending.count; n++)
		memcpy(block_of(d->view, d->pending.at[n].addr), d->pending.at[n].data, COW_BLOCK);
}

void crash_settle(struct crash_disk *d, const u8 *mask)
{
	for (u64 n = 0; n < d->pending.count; n++)
		stable_write(d, d->pending.at[n].addr, d->pending.at[n].data, mask[n]);
	crash_list_clear(&d->pending);
	memcpy(d->view, d->stable, d->blocks * COW_BLOCK);
}

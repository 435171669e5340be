/* SPDX-License-Identifier: MIT */
/*
 * list.h - intrusive lists: circular and doubly linked (struct list), and
 * single-headed ones for hash buckets (struct hlist). The owner of the list
 * locks. A node that list_remove()d itself points to itself, so list_empty(node)
 * says whether it is on a list, and removing it twice is harmless.
 */
#ifndef LIB_LIST_H
#define LIB_LIST_H

#include "lib/types.h"

struct list {
	struct list *next, *prev;
};

#define LIST_INIT(name)          \
	{                        \
		&(name), &(name) \
	}

static inline void list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
	return READ_ONCE(l->next) == l;
}

static inline void list_insert_between(struct list *n, struct list *prev, struct list *next)
{
	n->next = next;
	n->prev = prev;
	next->prev = n;
	prev->next = n;
}

/* At the head: found first. */
static inline void list_push(struct list *head, struct list *n)
{
	list_insert_between(n, head, head->next);
}

/* At the tail: found last. */
static inline void list_append(struct list *head, struct list *n)
{
	list_insert_between(n, head->prev, head);
}

static inline void list_remove(struct list *n)
{
	n->prev->next = n->next;
	n->next->prev = n->prev;
	list_init(n);
}

/* Moves all of `from` to the tail of `to`; `from` is empty after it. */
static inline void list_splice(struct list *to, struct list *from)
{
	if (list_empty(from))
		return;
	from->next->prev = to->prev;
	from->prev->next = to;
	to->prev->next = from->next;
	to->prev = from->prev;
	list_init(from);
}

#define list_entry(ptr, type, member)  container_of(ptr, type, member)
#define list_first(head, type, member) list_entry((head)->next, type, member)
#define list_last(head, type, member)  list_entry((head)->prev, type, member)
#define list_next(pos, member)	       list_entry((pos)->member.next, __typeof__(*(pos)), member)

/* pos must not be removed inside the loop; list_for_each_safe allows that. */
#define list_for_each(pos, head, member)                                                       \
	for (pos = list_entry((head)->next, __typeof__(*pos), member); &pos->member != (head); \
	     pos = list_entry(pos->member.next, __typeof__(*pos), member))
#define list_for_each_safe(pos, tmp, head, member)                        \
	for (pos = list_entry((head)->next, __typeof__(*pos), member),    \
	    tmp = list_entry(pos->member.next, __typeof__(*pos), member); \
	     &pos->member != (head);                                      \
	     pos = tmp, tmp = list_entry(tmp->member.next, __typeof__(*pos), member))

/* Hash chains: one pointer per bucket. Readers may walk one under RCU. */
struct hlist_node {
	struct hlist_node *next, **link; /* link == NULL: on no chain */
};

struct hlist {
	struct hlist_node *first;
};

static inline void hlist_push(struct hlist *h, struct hlist_node *n)
{
	n->next = h->first;
	n->link = &h->first;
	if (n->next)
		n->next->link = &n->next;
	__atomic_store_n(&h->first, n, __ATOMIC_RELEASE);
}

/* n->next stays, so that an RCU reader standing on n finds its way on. */
static inline void hlist_remove(struct hlist_node *n)
{
	if (!n->link)
		return;
	WRITE_ONCE(*n->link, n->next);
	if (n->next)
		n->next->link = n->link;
	n->link = NULL;
}

static inline bool hlist_hashed(const struct hlist_node *n)
{
	return n->link != NULL;
}

#define hlist_entry_or_null(p, type, member)                      \
	({                                                        \
		struct hlist_node *hl_p_ = (p);                   \
		hl_p_ ? container_of(hl_p_, type, member) : NULL; \
	})
#define hlist_for_each(pos, head, member)                                                         \
	for (pos = hlist_entry_or_null(__atomic_load_n(&(head)->first, __ATOMIC_CONSUME),         \
				       __typeof__(*pos), member);                                 \
	     pos; pos = hlist_entry_or_null(__atomic_load_n(&pos->member.next, __ATOMIC_CONSUME), \
					    __typeof__(*pos), member))

#endif

/* The one door through which the core allocates, so that tests can make any allocation fail. */
#ifndef MV_BASE_ALLOC_H
#define MV_BASE_ALLOC_H

#include <stddef.h>

/* Behaves as realloc(pointer, size), except that size 0 frees and returns NULL. */
typedef void *(*mv_alloc_hook)(void *pointer, size_t size);

/* Replaces the allocator; NULL restores the system's. Only while no object of the core lives. */
void mv_alloc_set_hook(mv_alloc_hook hook);

/* count * size bytes, or NULL when out of memory or when the product overflows. */
void *mv_alloc(size_t count, size_t size);
void mv_free(void *pointer);

/* A buffer that keeps its largest size, for scratch memory reused from call to call. */
typedef struct mv_buffer {
  void *data;
  size_t capacity; /* bytes */
} mv_buffer;

/* Makes room for count * size bytes, size > 0; the contents are lost. Returns NULL as mv_alloc
 * does, the buffer being empty then. */
void *mv_buffer_reserve(mv_buffer *buffer, size_t count, size_t size);
/* The same, but the contents are kept, and the room grows by half at least. Returns NULL when out
 * of memory, the buffer being as it was. */
void *mv_buffer_grow(mv_buffer *buffer, size_t count, size_t size);
void mv_buffer_free(mv_buffer *buffer);

#endif

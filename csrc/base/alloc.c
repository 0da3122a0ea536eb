#include "alloc.h"

#include <stdint.h>
#include <stdlib.h>

static void *system_hook(void *pointer, size_t size) {
  if (size == 0) {
    free(pointer);
    return NULL;
  }
  return realloc(pointer, size);
}

static mv_alloc_hook current_hook = system_hook;

void mv_alloc_set_hook(mv_alloc_hook hook) { current_hook = hook != NULL ? hook : system_hook; }

void *mv_alloc(size_t count, size_t size) {
  if (size != 0 && count > SIZE_MAX / size) return NULL;
  size_t bytes = count * size;
  return current_hook(NULL, bytes != 0 ? bytes : 1);
}

void mv_free(void *pointer) {
  if (pointer != NULL) current_hook(pointer, 0);
}

void *mv_buffer_reserve(mv_buffer *buffer, size_t count, size_t size) {
  if (buffer->data != NULL && buffer->capacity / size >= count) return buffer->data;
  mv_buffer_free(buffer);
  buffer->data = mv_alloc(count, size);
  buffer->capacity = buffer->data != NULL ? count * size : 0;
  return buffer->data;
}

void *mv_buffer_grow(mv_buffer *buffer, size_t count, size_t size) {
  if (buffer->data != NULL && buffer->capacity / size >= count) return buffer->data;
  size_t room = buffer->capacity / size;
  room += room / 2;
  if (room < count) room = count;
  if (room > SIZE_MAX / size) return NULL;
  void *data = current_hook(buffer->data, room != 0 ? room * size : 1);
  if (data == NULL) return NULL;
  buffer->data = data;
  buffer->capacity = room * size;
  return data;
}

void mv_buffer_free(mv_buffer *buffer) {
  mv_free(buffer->data);
  buffer->data = NULL;
  buffer->capacity = 0;
}

/* Result codes shared by every function of the core that can fail. */
#ifndef MV_BASE_STATUS_H
#define MV_BASE_STATUS_H

typedef enum mv_status {
  MV_OK = 0,
  MV_ERROR_MEMORY = 1,   /* the allocation hook returned NULL */
  MV_ERROR_ARGUMENT = 2, /* a caller's mistake: sizes or values out of range */
  MV_ERROR_CORRUPT = 3   /* bytes from a file contradict each other */
} mv_status;

#endif

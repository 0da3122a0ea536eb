/* Scores of documents by the query in int8: see score.c. */
#ifndef MV_SEARCH_SCORES_H
#define MV_SEARCH_SCORES_H

#include "../segment/segment.h"
#include "query.h"

/* The score of a document by all of its tokens. REQUIRES: the table is that of its codec. */
float mv_score_fast(const mv_query *query, const mv_document *doc);

/* Adds to the scores of the places whose segment has the codec of the table, a partial one, those
 * by the tokens whose centroid's row the table has. */
void mv_score_parts(mv_query *query, const mv_segment *segments, const mv_place *places, size_t n,
                    float *scores);

#endif

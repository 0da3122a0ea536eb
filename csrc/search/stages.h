/* The stages that a search consists of (search.c). */
#ifndef MV_SEARCH_STAGES_H
#define MV_SEARCH_STAGES_H

#include "../mvdb.h"

/* ---- candidates by centroid codes ---- */

/* Ranks documents by the interaction of the query with their centroid codes alone (PLAID's
 * centroid interaction, arXiv 2205.09707 §4) and returns the best `limit` of them, best first, ties
 * by place. chosen[s]: whether segment s takes part; segments without a codec never do. allowed[s]
 * is a bitmap over the documents of segment s (bit i % 8 of byte i / 8 = document i), or NULL for
 * all. */
mv_status mv_coarse(mv_query *query, const mv_segment *segments, size_t n_segments,
                    const uint8_t *chosen, const uint8_t *const *allowed, size_t limit,
                    mv_place *places, float *scores, size_t *count);

/* The same scores for n places of segments with a codec. */
mv_status mv_interact(mv_query *query, const mv_segment *segments, size_t n_segments,
                      const mv_place *places, size_t n, float *scores);

/* ---- candidates by inverted lists ---- */

/* The best `nprobe` lists of each token of a block of the query, without those that add little
 * beside the token's best one: first those that find documents, then the others, both by rank, then
 * token. probes has room for MV_LANES_MAX * nprobe. *base: the score of a document that is in no
 * list. */
mv_status mv_probe_lists(mv_query *query, const mv_codec *codec, size_t block, size_t nprobe,
                         mv_probe *probes, size_t *count, float *base);

/* Gathering sums gains per document: mv_gather_start; then for each block mv_gather_find with all
 * probes in the order of mv_probe_lists, which are kept until the block is done, and mv_gather_add
 * for ranges of them as often as wanted; mv_gather_best at any time.
 *
 * mv_gather_find finds the allowed documents of the chosen segments that are in more than one list
 * of the probes that find; if these are less than four times the `wanted` ones, those in one; if
 * they still are, those in any list. mv_gather_add adds the gains of probes from .. to - 1 to the
 * documents found so far, for each token once a document. *postings: the number read, added to.
 * mv_gather_best: the best `limit` of the documents found, ties by place: the best `front` of them
 * before the others, in no order otherwise. scores are gains alone. */
mv_status mv_gather_start(mv_query *query, const mv_segment *segments, size_t n_segments,
                          const uint8_t *chosen, size_t wanted);
mv_status mv_gather_find(mv_query *query, const mv_segment *segments, size_t n_segments,
                         const uint8_t *chosen, const uint8_t *const *allowed,
                         const mv_probe *probes, size_t n);
mv_status mv_gather_add(mv_query *query, const mv_segment *segments, size_t n_segments,
                        const uint8_t *chosen, size_t from, size_t to, uint64_t *postings);
mv_status mv_gather_best(mv_query *query, const mv_segment *segments, size_t n_segments,
                         const uint8_t *chosen, size_t limit, size_t front, mv_place *places,
                         float *scores, size_t *count);

/* ---- ranking by codes ---- */

/* How many of n places that lists rank have to be ranked by codes in any case, for the best k. */
size_t mv_first_interacted(size_t n, size_t k);

/* Gives the `first` of n places, those with the greatest gains in `scores`, the scores of
 * mv_interact, and brings behind them those others that may be among the best k: their gains,
 * raised by the mean gap between score and gains of the first ones and by a third more than
 * `deviations` of it, reach the k-th best score. The number of both is *wanted; the places from
 * there on are lost. */
mv_status mv_interact_first(mv_query *query, const mv_segment *segments, size_t n_segments,
                            mv_place *places, float *scores, size_t n, size_t first, size_t k,
                            double deviations, size_t *wanted);

/* ---- ranking by scores ---- */

/* Ranking by scores of n >= 1 places, best first by the estimates in `scores`, until the rest
 * cannot be among the best k, beside others with given scores: mv_rank_samples, then mv_rank_first,
 * then mv_rank_rest. How far a score may exceed its estimate: the mean gap between both and
 * `deviations` of it, of the documents scored first, those of the same age where they are enough.
 *
 * mv_rank_samples brings the documents that are scored first to the front; their number.
 * mv_rank_first gives these their scores, and brings behind them those others that may be among the
 * best k; the number of both is *wanted, and the places from there on are lost. mv_rank_rest scores
 * these n too; the result are the first *count, reordered, with scores of MV_SCORE_FAST. */
size_t mv_rank_samples(const mv_segment *segments, mv_place *places, float *scores, size_t n,
                       size_t k);
mv_status mv_rank_first(mv_query *query, const mv_segment *segments, size_t n_segments,
                        mv_place *places, float *scores, size_t n, size_t first, size_t k,
                        double deviations, const float *others, size_t n_others, size_t *wanted);
mv_status mv_rank_rest(mv_query *query, const mv_segment *segments, size_t n_segments,
                       mv_place *places, float *scores, size_t n, size_t first, size_t k,
                       const float *others, size_t n_others, size_t *count);

/* The best k of n scored places, in no order, and all with the score of the k-th: the first
 * *count. */
mv_status mv_cut(mv_query *query, mv_place *places, float *scores, size_t n, size_t k,
                 size_t *count);

/* The same by scores of MV_SCORE_PRECISE, which the scores become, of places with scores of
 * MV_SCORE_FAST. error: bound on the difference. */
mv_status mv_refine(mv_query *query, const mv_segment *segments, size_t n_segments,
                    mv_place *places, float *scores, size_t n, size_t k, double error,
                    size_t *count);

#endif

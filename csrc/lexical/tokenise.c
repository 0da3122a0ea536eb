#include "tokenise.h"

#include <string.h>

#include "characters.h"

/* A run of mv_tokenise. */
typedef struct job {
  const uint8_t *text, *end;
  mv_token_emit emit;
  void *context;
} job;

static int class_of(const uint8_t *p, const uint8_t *end) {
  size_t bytes;
  return p < end ? mv_class_at(p, end, &bytes) : MV_SEPARATOR;
}

static int is_joint(uint8_t byte) {
  static const uint8_t joints[256] = {['.'] = 1, ['-'] = 1, ['\''] = 1, ['/'] = 1,
                                      ['@'] = 1, [':'] = 1, [','] = 1,  ['&'] = 1};
  return joints[byte];
}

static int is_suffix(uint8_t byte) { return byte == '+' || byte == '#'; }

/* Emits first..last, in lower case, cut to MV_MAX_TERM. */
static mv_status emit(const job *run, const uint8_t *first, const uint8_t *last, uint8_t kind) {
  uint8_t term[MV_MAX_TERM];
  size_t size = (size_t)(last - first);
  if (size > MV_MAX_TERM) {
    size = MV_MAX_TERM;
    while (mv_is_inside(first[size])) size--;
  }
  for (size_t i = 0; i < size; i++) {
    const uint8_t byte = first[i];
    term[i] = (uint8_t)(byte | (mv_class_ascii(byte) == MV_UPPER ? 0x20 : 0));
  }
  const mv_token token = {term, (uint32_t)size, (uint32_t)(first - run->text),
                          (uint32_t)(last - run->text), kind};
  return run->emit(run->context, &token);
}

/* ---- parts ---- */

/* The end of the first piece of *begin .. end, and its begin; NULL when there is none. */
typedef const uint8_t *(*piece_end)(const uint8_t **begin, const uint8_t *end);

static const uint8_t *by_joints(const uint8_t **begin, const uint8_t *end) {
  while (*begin < end && is_joint(**begin)) (*begin)++;
  const uint8_t *p = *begin;
  while (p < end && !is_joint(*p)) p++;
  return p > *begin ? p : NULL;
}

static const uint8_t *by_underscores(const uint8_t **begin, const uint8_t *end) {
  while (*begin < end && **begin == '_') (*begin)++;
  const uint8_t *p = *begin;
  while (p < end && *p != '_' && !is_suffix(*p)) p++;
  return p > *begin ? p : NULL;
}

/* Before a capital behind a small letter, and before the last capital of several, or one behind
 * digits, that a small letter follows; not before that of a plural: PDFs. */
static const uint8_t *by_capitals(const uint8_t **begin, const uint8_t *end) {
  const uint8_t *p = *begin;
  if (p == end) return NULL;
  for (p++; p < end; p++) {
    if (mv_class_ascii(*p) != MV_UPPER) continue;
    const int before = mv_class_ascii(p[-1]); /* a byte above ASCII is of a small letter */
    if (before != MV_UPPER && before != MV_DIGIT) break;
    const int begins = p + 1 < end && mv_class_ascii(p[1]) == MV_LOWER;
    if (begins && !(p[1] == 's' && p + 2 == end)) break;
  }
  return p;
}

/* Letters and digits apart where there is one run of each. */
static const uint8_t *by_digits(const uint8_t **begin, const uint8_t *end) {
  const uint8_t *change = NULL;
  if (*begin == end) return NULL;
  for (const uint8_t *p = *begin + 1; p < end; p++) {
    if ((mv_class_ascii(*p) == MV_DIGIT) == (mv_class_ascii(p[-1]) == MV_DIGIT)) continue;
    if (change != NULL) return end;
    change = p;
  }
  return change != NULL ? change : end;
}

enum { BY_CAPITALS = 2, LEVELS = 4 };
static const piece_end levels[LEVELS] = {by_joints, by_underscores, by_capitals, by_digits};

/* Whether a piece is worth a term. Single letters and digits are where joints or underscores part
 * them (U.S., x_1), but not behind an apostrophe (dog's) nor by the finer levels (iPhone). */
static int is_part(const uint8_t *begin, const uint8_t *first, const uint8_t *last, int level) {
  if (last - first > 1) return 1;
  return level < BY_CAPITALS && (first == begin || first[-1] != '\'');
}

/* Emits the pieces of a whole that differ from it, at this level and below. */
static mv_status emit_parts(const job *run, const uint8_t *begin, const uint8_t *end, int level) {
  if (level == LEVELS || (level >= BY_CAPITALS && end - begin > MV_MAX_TERM)) return MV_OK;
  const uint8_t *first = begin, *last;
  while ((last = levels[level](&first, end)) != NULL) {
    mv_status status = MV_OK;
    const int is_whole = first == begin && last == end;
    if (!is_whole && is_part(begin, first, last, level)) {
      status = emit(run, first, last, MV_TOKEN_PART);
    }
    if (status == MV_OK) status = emit_parts(run, first, last, level + 1);
    if (status != MV_OK) return status;
    first = last;
  }
  return MV_OK;
}

/* ---- wholes ---- */

/* Bytes of the joint at p, which a word of the class `before` ends in front of; 0: none. */
static size_t joint_at(const uint8_t *p, const uint8_t *end, int before) {
  if (p == end || !is_joint(*p)) return 0;
  if (*p == ':' && end - p > 2 && p[1] == ':') return mv_is_word(class_of(p + 2, end)) ? 2 : 0;
  const int behind = class_of(p + 1, end);
  if (!mv_is_word(behind)) return 0;
  if (*p == ':') return before == MV_DIGIT || behind == MV_DIGIT;
  if (*p == ',') return before == MV_DIGIT && behind == MV_DIGIT;
  if (*p == '&') return before == MV_UPPER && behind == MV_UPPER;
  return 1;
}

/* The end of the run that begins at p with a character of words. */
static const uint8_t *run_end(const uint8_t *begin, const uint8_t *end) {
  const uint8_t *p = begin;
  int before = MV_SEPARATOR;
  while (p < end) {
    size_t bytes;
    const int class = mv_class_at(p, end, &bytes);
    if (!mv_is_word(class)) {
      bytes = p - begin < MV_MAX_TERM ? joint_at(p, end, before) : 0;
      if (bytes == 0) break;
    }
    before = class;
    p += bytes;
  }
  const int letter = before == MV_LOWER || before == MV_UPPER;
  if (letter && end - p > 1 && p[0] == '+' && p[1] == '+') return p + 2;
  if (letter && p < end && *p == '#' && !mv_is_word(class_of(p + 1, end))) return p + 1;
  return p;
}

/* Whether the run is exact evidence: digits, underscores, inner capitals, a suffix or inner
 * punctuation, but not the hyphen, apostrophe and slash of prose (well-known, dog's, and/or) nor
 * the full stops of abbreviations (e.g). */
static int is_identifier(const uint8_t *begin, const uint8_t *end) {
  size_t dots = 0, slashes = 0;
  ptrdiff_t longest = 0;
  for (const uint8_t *p = begin; p < end; p++) {
    const int class = mv_class_ascii(*p);
    if (class == MV_DIGIT || class == MV_UNDERSCORE || is_suffix(*p)) return 1;
    if (*p == '@' || *p == ':' || *p == ',' || *p == '&') return 1;
    dots += *p == '.';
    slashes += *p == '/';
  }
  const uint8_t *first = begin, *last;
  while ((last = by_joints(&first, end)) != NULL) {
    if (last - first <= MV_MAX_TERM && by_capitals(&first, last) != last) return 1;
    if (last - first > longest) longest = last - first;
    first = last;
  }
  return slashes > 1 || (dots > 0 && longest > 1);
}

/* Emits the run that begins at *p, and its parts; *p: its end. */
static mv_status emit_run(const job *run, const uint8_t **p) {
  const uint8_t *begin = *p, *end = run_end(begin, run->end), *piece = begin;
  *p = end;
  while (piece < end && (*piece == '_' || is_joint(*piece))) piece++;
  if (piece == end) return MV_OK; /* a line of underscores */
  const uint8_t kind = is_identifier(begin, end) ? MV_TOKEN_IDENTIFIER : MV_TOKEN_WORD;
  const mv_status status = emit(run, begin, end, kind);
  return status == MV_OK ? emit_parts(run, begin, end, 0) : status;
}

/* Emits the pairs of a run of unspaced characters. */
static mv_status emit_unspaced(const job *run, const uint8_t **p) {
  const uint8_t *before = NULL;
  size_t bytes;
  while (*p < run->end && mv_class_at(*p, run->end, &bytes) == MV_UNSPACED) {
    mv_status status = MV_OK;
    const uint8_t *last = *p + bytes;
    const int alone = before == NULL && class_of(last, run->end) != MV_UNSPACED;
    if (before != NULL || alone) {
      status = emit(run, alone ? *p : before, last, MV_TOKEN_BIGRAM);
    }
    if (status != MV_OK) return status;
    before = *p;
    *p = last;
  }
  return MV_OK;
}

/* Emits a word of small ASCII letters, which may begin with a capital, if nothing is joined to it:
 * most words of prose, without a second look. *p: its end; unchanged where the word is another. */
static mv_status emit_plain(const job *run, const uint8_t **p) {
  uint8_t term[MV_MAX_TERM];
  const uint8_t *begin = *p, *end = run->end;
  const size_t most = end - begin > MV_MAX_TERM ? MV_MAX_TERM : (size_t)(end - begin);
  size_t n = 1;
  term[0] = *begin | 0x20;
  while (n < most && begin[n] >= 'a' && begin[n] <= 'z') {
    term[n] = begin[n];
    n++;
  }
  const uint8_t *last = begin + n;
  if (last < end) {
    const int behind = last + 1 < end ? last[1] : ' ';
    if (*last >= 0x80 || mv_class_ascii(*last) != MV_SEPARATOR || is_suffix(*last)) return MV_OK;
    if (is_joint(*last) && behind != ' ' && behind != '\n') return MV_OK;
  }
  const mv_token token = {term, (uint32_t)n, (uint32_t)(begin - run->text),
                          (uint32_t)(last - run->text), MV_TOKEN_WORD};
  *p = last;
  return run->emit(run->context, &token);
}

mv_status mv_tokenise(const uint8_t *text, size_t size, mv_token_emit receive, void *context) {
  if (size > UINT32_MAX) return MV_ERROR_ARGUMENT;
  const job run = {text, text + size, receive, context};
  mv_status status = MV_OK;
  for (const uint8_t *p = text; p < run.end && status == MV_OK;) {
    size_t bytes;
    const int class = mv_class_at(p, run.end, &bytes);
    const uint8_t *begin = p;
    if (class == MV_LOWER || class == MV_UPPER) status = emit_plain(&run, &p);
    if (p != begin || status != MV_OK) continue;
    if (class == MV_UNSPACED) {
      status = emit_unspaced(&run, &p);
    } else if (mv_is_word(class)) {
      status = emit_run(&run, &p);
    } else {
      p += bytes;
    }
  }
  return status;
}

/* ---- into arrays ---- */

typedef struct arrays {
  mv_token_range *tokens;
  size_t room, count;
} arrays;

static mv_status keep(void *context, const mv_token *token) {
  arrays *out = context;
  if (out->count < out->room) {
    out->tokens[out->count] =
        (mv_token_range){token->first, token->last, (uint8_t)token->size, token->kind};
  }
  out->count++;
  return MV_OK;
}

mv_status mv_tokens(const uint8_t *text, size_t size, mv_token_range *tokens, size_t room,
                    size_t *count) {
  arrays out = {tokens, room, 0};
  const mv_status status = mv_tokenise(text, size, keep, &out);
  *count = out.count;
  return status;
}

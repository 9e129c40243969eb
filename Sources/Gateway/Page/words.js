// Part of Inkstone. Licence: see LICENSE.

const word = '[\\p{Script=Latin}\\p{M}\\p{N}]';
const words = new RegExp(`${word}+`, 'gu');
const lastWords = new RegExp(`(?:${word}+[ -])*\\p{Script=Latin}${word}+$`, 'u');
const lastCharacters = /[\p{Script=Han}\p{Script=Latin}\p{N}]*\p{Script=Han}$/u;
const longestTail = 200;
// Words that name nothing and are not completed.
const articles = ['a', 'an', 'the', 'of', 'in', 'on', 'at', 'and', 'with', 'some', 'one', 'two', 'three', 'four', 'my',
  'draw', 'please'];
const particles = ['的', '一', '两', '个', '只', '在', '和', '与', '了', '着', '是', '有', '请', '画'];
const fillers = new RegExp(`(?<!${word})(?:${articles.join('|')})(?!${word})|${particles.join('|')}`, 'giu');

const fold = (text) => text.normalize('NFC').toLowerCase();

/** A word, and what may be its singular. */
function* singulars(text) {
  yield text;
  if (text.endsWith('ies')) yield `${text.slice(0, -3)}y`;
  if (text.endsWith('es')) yield text.slice(0, -2);
  if (text.endsWith('s')) yield text.slice(0, -1);
}

/** The known words of a language, by their place in the list. */
class WordList {
  /** `keyOf(word)` is what words are compared by. */
  constructor(language, list, keyOf) {
    this.language = language;
    this.list = list;
    this.keys = list.map(keyOf);
    this.places = new Map(this.keys.map((key, place) => [key, place]).reverse());
  }

  /** Places of the known words among parts of a text; of two that begin together the longer one counts. */
  * findAmong(parts, longest, placeOf) {
    for (let start = 0; start < parts.length;) {
      let count = Math.min(longest, parts.length - start);
      for (; count > 0; count -= 1) {
        const place = placeOf(parts.slice(start, start + count));
        if (place === undefined) continue;
        yield place;
        break;
      }
      start += Math.max(1, count);
    }
  }

  /** `[word, length]` for every word whose key passes a test. */
  * matching(test, length) {
    for (const [place, key] of this.keys.entries()) if (test(key)) yield [this.list[place], length];
  }
}

/** The words of a language that writes spaces between them. */
class SpacedWords extends WordList {
  static parts(text) { return fold(text).match(words) ?? []; }

  constructor(language, list) {
    super(language, list, (text) => SpacedWords.parts(text).join(' '));
    this.longest = Math.max(...this.keys.map((key) => key.split(' ').length));
  }

  find(text) {
    return this.findAmong(SpacedWords.parts(text), this.longest, (parts) => {
      const before = parts.slice(0, -1);
      for (const last of singulars(parts.at(-1))) {
        const place = this.places.get([...before, last].join(' '));
        if (place !== undefined) return place;
      }
      return undefined;
    });
  }

  /** The words at the end of a text, the last one of two letters or more, each with all that follow it. */
  typed(text) {
    const tail = text.slice(-longestTail).match(lastWords)?.[0] ?? '';
    if (articles.includes(SpacedWords.parts(tail).at(-1))) return [];
    const starts = [...tail.matchAll(words)].map(({ index }) => index).slice(-this.longest);
    return starts.map((start) => (
      { key: SpacedWords.parts(tail.slice(start)).join(' '), length: tail.length - start }));
  }

  /** Words that begin with the end of a text. */
  * continuations(text) {
    const typed = this.typed(text);
    const whole = ` ${typed[0]?.key}`;
    for (const { key, length } of typed) {
      yield* this.matching((known) => known.startsWith(key) && !whole.endsWith(` ${known}`), length);
    }
  }

  /** Words that have the end of a text inside: first in front of one of their parts, then anywhere. */
  * extensions(text) {
    const typed = this.typed(text);
    if (typed.length === 0) return;
    const [whole, { key, length }] = [` ${typed[0].key}`, typed.at(-1)];
    const isNew = (known) => !whole.endsWith(` ${known}`);
    yield* this.matching((known) => known.includes(` ${key}`) && isNew(known), length);
    if (key.length > 2) yield* this.matching((known) => known.includes(key) && isNew(known), length);
  }
}

/** The words of a language that writes no spaces between them. */
class UnspacedWords extends WordList {
  constructor(language, list) {
    super(language, list, fold);
    this.longest = Math.max(...this.keys.map((key) => key.length));
  }

  find(text) {
    return this.findAmong(fold(text), this.longest, (part) => this.places.get(part));
  }

  /** The characters at the end of a text, from the longest that may be a word; a known word is not taken apart. */
  typed(text) {
    const tail = fold(text.slice(-longestTail).match(lastCharacters)?.[0].slice(-this.longest) ?? '');
    const all = Array.from(tail, (_, index) => tail.slice(index));
    const known = all.findIndex((key) => this.places.has(key));
    return (known < 0 ? all : all.slice(0, known + 1)).filter((key) => !particles.includes(key));
  }

  * continuations(text) {
    for (const key of this.typed(text)) {
      yield* this.matching((known) => known.startsWith(key) && known !== key, key.length);
    }
  }

  * extensions(text) {
    const typed = this.typed(text);
    for (const key of typed) {
      // One character is in too many words, unless it is one itself, or all that was typed.
      if (key.length === 1 && typed.length > 1 && !this.places.has(key)) continue;
      yield* this.matching((known) => known.includes(key, 1) && !typed[0].endsWith(known), key.length);
    }
  }
}

/** The words that a model knows. */
export class Vocabulary {
  /** `lists` are words by language, their main ones first, `examples` prompts by language. */
  constructor(lists, examples = {}) {
    this.examples = examples;
    this.languages = Object.entries(lists).filter(([, list]) => list.length > 0).map(([language, list]) => (
      /^(?:zh|ja)\b/.test(language) ? new UnspacedWords(language, list) : new SpacedWords(language, list)));
  }

  get isEmpty() { return this.languages.length === 0; }

  /** Words that complete the end of a text, with the number of characters that each replaces, and its language. */
  completions(text, limit) {
    const found = new Map();
    for (const kind of ['continuations', 'extensions']) {
      for (const language of this.languages) {
        for (const [known, length] of language[kind](text)) {
          if (!found.has(known)) found.set(known, { word: known, length, language: language.language });
          if (found.size === limit) return [...found.values()];
        }
      }
    }
    return [...found.values()];
  }

  /** Whether a prompt names something, but nothing known, and does not end with the beginning of a known word. */
  isForeign(prompt) {
    if (!/\p{L}{2}|\p{Script=Han}/u.test(prompt.replace(fillers, ' '))) return false;
    return !this.languages.some((language) => !language.find(prompt).next().done
      || [...language.continuations(prompt)].some(([, length]) => length > 1));
  }

  /** A few known words in the script of a prompt: the first ones of the model's examples, then of the list. */
  samples(prompt, count) {
    const isHan = /\p{Script=Han}/u.test(prompt);
    const language = this.languages.find((one) => one instanceof UnspacedWords === isHan) ?? this.languages[0];
    const named = (this.examples[language.language] ?? []).map((example) => Math.min(...language.find(example)));
    const places = new Set([...named.filter(Number.isFinite), ...language.list.keys()]);
    return [...places].slice(0, count).map((place) => language.list[place]);
  }
}

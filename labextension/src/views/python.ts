/** A piece of Python source and what it is. */
export interface Token {
  text: string;
  kind: 'keyword' | 'string' | 'comment' | 'number' | 'decorator' | 'plain';
}

const KEYWORDS = new Set(
  (
    'False None True and as assert async await break class continue def del elif else except finally for from global ' +
    'if import in is lambda nonlocal not or pass raise return try while with yield match case'
  ).split(' ')
);

const TOKEN =
  /(#[^\n]*)|((?:[rRbBuUfF]{0,2})(?:"""[\s\S]*?(?:"""|$)|'''[\s\S]*?(?:'''|$)|"(?:[^"\\\n]|\\[\s\S])*"?|'(?:[^'\\\n]|\\[\s\S])*'?))|(^[ \t]*@[\w.]+)|(\b\d[\w.]*)|([A-Za-z_]\w*)/gm;

/** Python source in pieces that can be coloured; together they are the source. */
export function tokens(source: string): Token[] {
  const found: Token[] = [];
  let at = 0;
  const add = (text: string, kind: Token['kind']) => {
    const last = found[found.length - 1];
    if (last?.kind === 'plain' && kind === 'plain') {
      last.text += text;
    } else if (text) {
      found.push({ text, kind });
    }
  };
  for (const match of source.matchAll(TOKEN)) {
    add(source.slice(at, match.index), 'plain');
    const [text, comment, string, decorator, number, word] = match;
    const kind = comment
      ? 'comment'
      : string
        ? 'string'
        : decorator
          ? 'decorator'
          : number
            ? 'number'
            : KEYWORDS.has(word)
              ? 'keyword'
              : 'plain';
    add(text, kind);
    at = match.index! + text.length;
  }
  add(source.slice(at), 'plain');
  return found;
}

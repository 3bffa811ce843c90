const KEPT = new Set(
  ('table thead tbody tfoot tr th td caption p div span br hr pre code b i em strong small sub sup ul ol li dl dt dd ' +
    'h1 h2 h3 h4 h5 h6').split(' ')
);
/** What is inside goes, too. */
const GONE = new Set(
  'script style iframe object embed noscript template svg math title head textarea select noembed noframes xmp plaintext'.split(' ')
);

/**
 * HTML that a value made of itself, built anew from an allow-list: tags of tables and prose, no attributes but spans. It is
 * for places that have no sanitiser of their own.
 */
export function sanitize(html: string): string {
  // a parsed document of this kind runs no scripts and loads nothing
  const parsed = new DOMParser().parseFromString(html, 'text/html');
  const target = document.implementation.createHTMLDocument('');
  const box = target.createElement('div');
  copy(parsed.body, box, target);
  return box.innerHTML;
}

function copy(from: Node, into: Element, target: Document): void {
  from.childNodes.forEach(child => {
    if (child.nodeType === Node.TEXT_NODE) {
      into.appendChild(target.createTextNode(child.nodeValue ?? ''));
      return;
    }
    if (child.nodeType !== Node.ELEMENT_NODE) {
      return;
    }
    const element = child as Element;
    const tag = element.localName;
    if (GONE.has(tag)) {
      return;
    }
    if (!KEPT.has(tag)) {
      copy(element, into, target);
      return;
    }
    const made = target.createElement(tag);
    for (const name of ['colspan', 'rowspan']) {
      const value = element.getAttribute(name);
      if (value && /^\d{1,4}$/.test(value)) {
        made.setAttribute(name, value);
      }
    }
    copy(element, made, target);
    into.appendChild(made);
  });
}

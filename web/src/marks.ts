// Search snippets arrive as escaped HTML with <mark>. They are read as data and shown as text nodes, never
// parsed as HTML: what a model or a picture said must not become markup, whatever the server let through.

export interface Piece {
  text: string;
  marked: boolean;
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&lt;": "<",
  "&gt;": ">",
  "&quot;": '"',
  "&#34;": '"',
  "&#39;": "'",
  "&#x27;": "'",
  "&amp;": "&",
};

function unescaped(text: string): string {
  return text.replace(/&(?:lt|gt|quot|amp|#34|#39|#x27);/g, (entity) => ENTITIES[entity] ?? entity);
}

/** `snippet` cut at its marks; any other tag stays visible as the text it is. */
export function pieces(snippet: string): Piece[] {
  const found: Piece[] = [];
  let marked = false;
  for (const part of snippet.split(/(<\/?mark>)/)) {
    if (part === "<mark>") marked = true;
    else if (part === "</mark>") marked = false;
    else if (part) found.push({ text: unescaped(part), marked });
  }
  return found;
}

// Conditions in the grammar of --where, as clicks make them.

/** A value as a condition has it: texts in double quotes, so that no sign in them means anything. */
export const value = (of) => (typeof of === "string" ? `"${of.replace(/[\\"]/g, "\\$&")}"` : String(of));

/** The values of a condition that a click made: `field="a","b"`; null if it is none of these. */
export function values(condition, field) {
  if (!condition.startsWith(`${field}=`)) return null;
  const text = condition.slice(field.length + 1);
  const one = /\s*(?:"((?:[^"\\]|\\.)*)"|(-?\d+))\s*(,|$)/y;
  const found = [];
  while (one.lastIndex < text.length) {
    const match = one.exec(text);
    if (!match) return null;
    found.push(match[2] === undefined ? match[1].replace(/\\(.)/g, "$1") : Number(match[2]));
  }
  return found.length ? found : null;
}

/** What is asked, with one of some values for a field in place of what was asked of it; none: without the condition. */
export function together(asked, field, wanted) {
  const others = asked.getAll("where").filter((each) => values(each, field) === null);
  asked.delete("where");
  asked.delete("offset");
  for (const each of others) asked.append("where", each);
  if (wanted.length) asked.append("where", `${field}=${wanted.map(value).join(",")}`);
  return asked;
}

/** A query parameter's name as the most generous server may take it: whatever its case, and of a list (`after[]`) or a member (`after.x`) what it is of. */
export function bareName(name: string): string {
  return name
    .toLowerCase()
    .replace(/[[.].*$/s, '')
    .trim()
}

import t from 'tap'
import { Bag } from '../../src/lib/bag.js'

t.test('a bag holds what was added and not removed, in any order of coming and going', async t => {
  const bag = new Bag<{ bagIndex: number; name: number }>()
  const inside = new Set<{ bagIndex: number; name: number }>()
  let seed = 3
  for (let step = 0; step < 5_000; step++) {
    seed = (seed * 1103515245 + 12345) % 2147483648
    const members = [...inside]
    const leaving = members[seed % Math.max(1, members.length)]
    if (seed % 3 === 0 && leaving) {
      bag.delete(leaving)
      bag.delete(leaving)
      inside.delete(leaving)
    } else {
      const member = { bagIndex: -1, name: step }
      bag.add(member)
      inside.add(member)
    }
  }
  t.equal(bag.size, inside.size)
  t.same(new Set(bag.toArray()), inside)
})

// What both ends of a live page draw at random.

export const sleep = ms => new Promise(done => setTimeout(done, ms))

// logarithmic is a number whose logarithm is evenly drawn.
export const logarithmic = (least, most, random = Math.random) => Math.floor(least * (most / least) ** random())

// soon is how many milliseconds a program takes.
export const soon = () => 0.3 * 100 ** Math.random()

const words = 'the of and to in is you that it he was for on are with as his they be at one have this from or had by hot but some what there we can out other were all your when up use word how said an each she which do their time if will way about many then them would write like'.split(' ')

export function text(size) {
  let s = ''
  while (s.length < size) s += words[Math.floor(Math.random() * words.length)] + ' '
  return s.slice(0, size)
}

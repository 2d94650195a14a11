// Package hostile holds no code: its tests attack the programs as people run them, and
// ask what everybody else notices of it. Each has a stranger, a thief of a token, a valid
// user without manners or an edge on one side, and honest users on the other, whose chat,
// new tunnels and transfers are what counts, beside the memory of what was attacked.
//
// They run where CULVERT_REAL is set, as .ci/hostile sets it, on Linux. With
// CULVERT_SOAK, a duration, all attackers come at once beside ten honest users.
package hostile

package wire

import "testing"

// What a budget allows costs no more than it, and hardly less.
func TestABudgetAllowsTheBodyThatItPaysFor(t *testing.T) {
	t.Parallel()
	for _, budget := range []int{0, 100, 137, 138, 200, LeastBudget, 4096, 5000, 12_000, 13_650, 64 << 10} {
		n := BudgetedBody(budget)
		if n > 0 && MessageBudget(n) > budget {
			t.Errorf("%d: got a body of %d, which costs %d", budget, n, MessageBudget(n))
		}
		if more := MessageBudget(max(n, 0) + 50); more <= budget {
			t.Errorf("%d: got a body of %d, and one of 50 more costs %d", budget, n, more)
		}
	}
}

package doctor_test

import (
	"context"
	"fmt"
	"time"

	"culvert/client/doctor"
	"culvert/internal/link"
)

// A program that has a link says by itself what is wrong with its way.
func ExampleExamine() {
	l, err := link.Parse("culvert:abcdefgh")
	if err != nil {
		fmt.Println("ask for a new link")
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
	defer cancel()
	report := doctor.Examine(ctx, l, nil, doctor.Genuine(), doctor.Silent{})
	if err := report.Judge(false); err != nil {
		for _, c := range report.Checks {
			fmt.Println(c.Front, c.Hop, c.Problem, c.Try)
		}
	}
	// Output: ask for a new link
}

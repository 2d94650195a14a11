package main

import "strings"

// condition is what a stack's status means for what we do next.
type condition int

const (
	absent condition = iota // there is no stack
	ready                   // it stands, and may be changed
	busy                    // CloudFormation is at work on it
	begun                   // a first change set was made and never carried out
	failed                  // its creation failed, nobody ever used it: delete it, create it anew
	broken                  // its deletion failed half way: delete the rest
	stuck                   // an update failed, and undoing it too: undo again
	halted                  // an update failed and was left so: undo it
)

var conditions = map[string]condition{
	"":                                    absent,
	"DELETE_COMPLETE":                     absent,
	"CREATE_COMPLETE":                     ready,
	"UPDATE_COMPLETE":                     ready,
	"UPDATE_ROLLBACK_COMPLETE":            ready,
	"IMPORT_COMPLETE":                     ready,
	"IMPORT_ROLLBACK_COMPLETE":            ready,
	"REVIEW_IN_PROGRESS":                  begun,
	"CREATE_FAILED":                       failed,
	"ROLLBACK_COMPLETE":                   failed,
	"ROLLBACK_FAILED":                     failed,
	"DELETE_FAILED":                       broken,
	"UPDATE_ROLLBACK_FAILED":              stuck,
	"UPDATE_FAILED":                       halted,
	"IMPORT_ROLLBACK_FAILED":              stuck,
	"UPDATE_COMPLETE_CLEANUP_IN_PROGRESS": busy,
}

// conditionOf knows every status of CloudFormation's StackStatus.
func conditionOf(status string) condition {
	if c, ok := conditions[status]; ok {
		return c
	}
	if strings.HasSuffix(status, "_IN_PROGRESS") {
		return busy
	}
	return stuck
}

// made says whether a stack has, or may have, parts.
func (c condition) made() bool { return c != absent && c != begun }

// inWords says what status means, for people.
func inWords(status string) string {
	switch conditionOf(status) {
	case absent:
		return "not deployed"
	case ready:
		if strings.Contains(status, "ROLLBACK") {
			return "deployed; the last change failed and was undone"
		}
		return "deployed"
	case busy:
		return "being worked on by CloudFormation"
	case begun:
		return "begun, never deployed"
	case failed:
		return "its creation failed"
	case broken:
		return "its deletion failed half way"
	}
	return "an update failed and could not be undone"
}

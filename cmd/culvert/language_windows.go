package main

import "golang.org/x/sys/windows"

// systemLanguages are those of the user's windows, the preferred first.
func systemLanguages() []string {
	all, err := windows.GetUserPreferredUILanguages(windows.MUI_LANGUAGE_NAME)
	if err != nil {
		return nil
	}
	return all
}

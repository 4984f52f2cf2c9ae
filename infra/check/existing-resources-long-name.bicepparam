using '../main.bicep'

// The longest name, into a group that is there, with everything reused that can be.
param environmentName = 'a-very-long-environment-name-of-a-customer-with-sixty-four-chars'
param location = 'swedencentral'
param existingResourceGroupName = 'rg-existing'
param existingRegistryName = 'acrexisting'
param existingStorageAccountName = 'stexisting'
param existingContainerAppsEnvironmentName = 'cae-existing'
param existingLogAnalyticsName = 'log-existing'
param existingEventGridTopicName = 'evgt-existing'
